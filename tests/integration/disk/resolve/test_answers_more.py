"""Kept answers again: what has a say in a resolution and lies off the beaten track."""

from __future__ import annotations

import os
import shutil
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache
from raybundle.errors import BundleError
from raybundle.model import Resolution, ScriptTarget
from raybundle.resolve.answers.answers import ANSWERS, answer
from raybundle.resolve.consulted import Consulted, unchanged
from raybundle.resolve.driver.generated import mentions_of
from raybundle.resolve.files.data_files import SIZE_LIMIT
from raybundle.resolve.interpreter.markers import environment_of
from raybundle.resolve.resolve import resolve
from raybundle.resolve.scan import scanner
from raybundle.resolve.scan.scanner import Scanner
from raybundle.resolve.settings import ResolveSettings
from tests.support.clocks import early, later
from tests.support.known import knowing
from tests.support.small_project import interpreter, tree

if TYPE_CHECKING:
    from collections.abc import Callable

TRIES_X = "try:\n    import x\nexcept ImportError:\n    pass\n"
clock = time.time_ns
"""Of the caches of this file."""
HERE = "import os, sys\nhere = os.path.dirname(os.path.abspath(__file__))\n"


@pytest.fixture(params=["young", "old"])
def aged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files whose stamps are distrusted, and files whose stamps are believed."""
    if request.param == "old":
        monkeypatch.setattr(f"{__name__}.clock", later)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def remember(root: Path, **environ: str) -> Resolution:
    given = (ScriptTarget(root / "job.py"), ResolveSettings(), interpreter(root.parent, **environ))
    return answer(*given, root, Cache(root.parent / "cache", clock))


def ask(root: Path, settings: ResolveSettings | None = None, **environ: str) -> Resolution:
    """The answer from the cache, which must be the one that is found without it."""
    given = (
        ScriptTarget(root / "job.py"),
        settings or ResolveSettings(),
        interpreter(root.parent, **environ),
    )
    found = answer(*given, root, Cache(root.parent / "cache", clock))
    fresh = resolve(*given, root, knowing(root.parent / "empty"))
    shutil.rmtree(root.parent / "empty", ignore_errors=True)

    assert found == fresh
    return found


def kept(root: Path) -> set[str]:
    return {each.name for each in (root.parent / "cache/answers").iterdir()}


@pytest.mark.usefixtures("aged")
def test_a_package_that_was_only_looked_into_and_now_extends_its_path_is_seen(work: Path) -> None:
    root = tree(work / "p", {"job.py": "A = 'pkg.json'", "a/pkg/__init__.py": "", "b/pkg/json.py": ""})
    settings = ResolveSettings(roots=("a", "b"))
    before = ask(root, settings)
    extended = "import pkgutil\n__path__ = pkgutil.extend_path(__path__, __name__)"
    (root / "a/pkg/__init__.py").write_text(extended)

    assert [len(before.modules), len(ask(root, settings).modules)] == [1, 3]


@pytest.mark.usefixtures("aged")
def test_a_link_that_a_driver_resolves_and_leaves_again_upwards_is_seen(work: Path) -> None:
    edit = "sys.path.append(os.path.realpath(os.path.join(here, 'deep', 'link', '..', 'lib')))\nimport m"
    root = tree(work / "p", {"job.py": HERE + edit, "deep/z": "", "one/lib/m.py": "", "two/lib/m.py": "1"})
    found = []
    for name in ("one", "two"):
        (root / name / "inner").mkdir()
        (root / "deep/link").unlink(missing_ok=True)
        (root / "deep/link").symlink_to(root / name / "inner")
        found.append(str(ask(root).modules[1].path))

    assert found == ["project/one/lib/m.py", "project/two/lib/m.py"]


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize("before", ["nothing", "another module"])
@pytest.mark.parametrize("place", ["PYTHONPATH", "driver"])
def test_an_archive_of_which_a_folder_is_on_the_path_is_seen(work: Path, before: str, place: str) -> None:
    edit = HERE + "sys.path.append(os.path.join(here, 'zips', 'app.zip', 'lib'))\n"
    root = tree(work / "p", {"job.py": (edit if place == "driver" else "") + TRIES_X, "zips/other": ""})
    archive = root / "zips/app.zip"
    environ = {"PYTHONPATH": str(archive / "lib")} if place == "PYTHONPATH" else {}
    if before == "another module":
        pack(archive, "lib/y.py")
    ask(root, None, **environ)
    pack(archive, "lib/x.py")

    with pytest.raises(BundleError, match="is in the archive"):
        remember(root, **environ)


def pack(archive: Path, name: str) -> None:
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(name, "")


@pytest.mark.usefixtures("aged")
def test_a_folder_in_an_archive_that_is_gone_is_seen(work: Path) -> None:
    root = tree(work / "p", {"job.py": TRIES_X, "zips/other": ""})
    pack(root / "zips/app.zip", "lib/y.py")
    before = ask(root, PYTHONPATH=str(root / "zips/app.zip/lib"))
    (root / "zips/app.zip").unlink()

    assert [len(before.warnings), len(ask(root, PYTHONPATH=str(root / "zips/app.zip/lib")).warnings)] == [
        1,
        0,
    ]


@pytest.mark.usefixtures("aged")
def test_an_editable_install_whose_source_is_behind_a_link_is_seen_to_move(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import importlib.metadata, a", "src/a.py": ""})
    info = "Metadata-Version: 2.1\nName: own\nVersion: 1\n"
    url = f'{{"dir_info": {{"editable": true}}, "url": "file://{work}/link"}}'
    tree(root / "meta/own-1.dist-info", {"METADATA": info, "direct_url.json": url})
    (work / "link").symlink_to(root)
    settings = ResolveSettings(roots=("src", "meta"))
    before = ask(root, settings)
    (work / "link").unlink()
    (work / "link").symlink_to(work / "cache")

    assert [len(before.data), len(ask(root, settings).data)] == [1, 0]


def test_a_file_that_changes_between_two_looks_at_it_is_in_no_answer(work: Path) -> None:
    root = tree(work / "p", {"a.py": "import b"})
    file = root / "a.py"
    began = Consulted(0)
    scanner = Scanner(Cache(work / "cache"), root, environment_of(interpreter(work)))
    scanner.facts(str(file))
    file.write_text("import c\nword = 1")
    assert mentions_of(scanner, None)(str(file), "word")
    began.read(scanner.consulted)

    assert unchanged(began, early()) is None


@pytest.mark.parametrize(("clock", "believed"), [(early, False), (later, True)])
def test_times_of_a_file_that_was_young_when_it_was_scanned_are_not_believed(
    work: Path, monkeypatch: pytest.MonkeyPatch, clock: Callable[[], int], believed: bool
) -> None:
    root = tree(work / "p", {"a.py": "import b"})
    file, cache = str(root / "a.py"), Cache(work / "cache", clock)
    first = Scanner(cache, root, environment_of(interpreter(work)))
    facts = first.facts(file)
    first.save()
    again = Scanner(cache, root, first.environment)

    read: list[str] = []

    def read_source(name: str) -> bytes:
        read.append(name)
        return Path(name).read_bytes()

    monkeypatch.setattr(scanner, "read_source", read_source)

    assert again.facts(file) == facts
    assert read == ([] if believed else [file])


def test_a_driver_that_changes_between_its_edits_and_its_imports_is_in_no_answer(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = "import sys\nsys.path.append('one')\nimport m"
    root = tree(work / "p", {"job.py": edit, "one/m.py": "", "two/m.py": ""})
    facts = Scanner.facts

    def edited_in_time(self: Scanner, file: str) -> object:
        (root / "job.py").write_text(edit.replace("one", "two"))
        return facts(self, file)

    with monkeypatch.context() as patched:
        patched.setattr(Scanner, "facts", edited_in_time)
        given = (ScriptTarget(root / "job.py"), ResolveSettings(), interpreter(work), root)
        torn = answer(*given, Cache(work / "cache"))

    assert [str(torn.modules[1].path), str(ask(root).modules[1].path)] == [
        "project/one/m.py",
        "project/two/m.py",
    ]


@pytest.mark.parametrize(("name", "value"), [("sys.hexversion", 0), ("os.getgroups", lambda: [424242])])
def test_another_python_of_ours_or_other_groups_of_the_user_ask_anew(
    work: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: object
) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": ""})
    ask(root)
    before = kept(root)
    monkeypatch.setattr(name, value)
    ask(root)

    assert len(kept(root) - before) == 1


def test_an_answer_that_was_moved_to_the_place_of_another_is_not_believed(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": "", "pkg/__init__.py": "", "pkg/b.py": ""})
    settings = ResolveSettings(include=("pkg",))
    ask(root)
    (plain,) = kept(root)
    ask(root, settings)
    (wide,) = kept(root) - {plain}
    (work / "cache/answers" / plain).replace(work / "cache/answers" / wide)

    assert len(ask(root, settings).modules) == 4


@pytest.mark.parametrize("part", ["consulted", "answer"])
@pytest.mark.parametrize("value", [None, [], {"links": []}, {"fields": [], "texts": []}, {"files": [1]}])
def test_an_answer_of_another_shape_is_found_again(work: Path, part: str, value: object) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": ""})
    before = ask(root)
    (name,) = kept(root)
    known = Cache(work / "cache").read(ANSWERS, name, dict)
    assert known is not None
    changed = {**known[part], **value} if isinstance(value, dict) else value
    Cache(work / "cache").write(ANSWERS, name, {**known, part: changed})

    assert ask(root) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root reaches every directory")
def test_a_directory_of_the_path_that_cannot_be_reached_and_then_can_is_seen(work: Path) -> None:
    root = tree(work / "p", {"job.py": TRIES_X, "closed/lib/x.py": ""})
    environ = {"PYTHONPATH": str(root / "closed/lib")}
    (root / "closed").chmod(0)
    before = ask(root, None, **environ)
    (root / "closed").chmod(0o755)

    assert [len(before.modules), len(ask(root, None, **environ).modules)] == [1, 2]


@pytest.mark.usefixtures("aged")
def test_data_that_is_edited_asks_nothing_anew_until_it_is_too_large_to_travel(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree(work / "p", {"job.py": "import pkg", "pkg/__init__.py": "", "pkg/query.sql": "", "b.csv": ""})
    settings = ResolveSettings(include=("*.csv",))
    before = ask(root, settings)
    (root / "pkg/query.sql").write_text("select 1")
    (root / "b.csv").write_text("1")
    cache = Cache(work / "cache", clock)
    given = (ScriptTarget(root / "job.py"), settings, interpreter(work), root, cache)
    with monkeypatch.context() as patched:
        patched.setattr("raybundle.resolve.resolve.resolve_recorded", None)
        known = answer(*given)
    os.truncate(root / "pkg/query.sql", SIZE_LIMIT + 1)
    large = ask(root, settings)
    os.truncate(root / "pkg/query.sql", SIZE_LIMIT)

    assert [known == before, len(large.data), len(large.warnings)] == [True, 1, 1]
    assert ask(root, settings) == before


def test_a_link_that_moves_while_its_answer_is_made_is_seen(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit = HERE + "sys.path.append(os.path.join(here, 'lib'))\nimport m"
    root = tree(work / "p", {"job.py": edit, "one/m.py": "", "two/m.py": "1"})
    (root / "lib").symlink_to("one")
    facts = Scanner.facts

    def moved_in_time(self: Scanner, file: str) -> object:
        (root / "lib").unlink()
        (root / "lib").symlink_to("two")
        return facts(self, file)

    with monkeypatch.context() as patched:
        patched.setattr(Scanner, "facts", moved_in_time)
        remember(root)

    assert files_of(ask(root)) == ["project/job.py", "project/two/m.py"]


def files_of(resolution: Resolution) -> list[str]:
    return [str(each.path) for each in resolution.modules]


def test_files_that_a_path_names_are_seen_to_come_and_to_go(work: Path) -> None:
    root = tree(work / "p", {"job.py": "print(open('conf/x.json').read())\n"})
    before = [each.path for each in ask(root).data]
    tree(root, {"conf/x.json": "{}"})
    with_it = [each.path for each in ask(root).data]
    (root / "conf/x.json").unlink()
    emptied = [each.path for each in ask(root).data]
    (root / "conf").rmdir()
    without = [each.path for each in ask(root).data]

    assert (before, with_it, without) == ([], ["project/conf/x.json"], [])
    assert emptied == ["project/conf/.raybundle-empty"]


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize("name", ["../shared/table.csv", "../shared"])
def test_data_outside_the_project_that_appears_later_is_told(work: Path, name: str) -> None:
    root = tree(work / "p", {"job.py": f"import os\nos.listdir({name!r}) or open({name!r})\n"})
    before = ask(root)
    tree(work / "shared", {"table.csv": "1\n"})

    assert [before.warnings, len(ask(root).warnings)] == [(), 1]
