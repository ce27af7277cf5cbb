from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from raybundle.cache.documents import Cache, Kind
from raybundle.cache.own_code import OWN
from raybundle.model import ModuleName, ModuleTarget, Resolution, ScriptTarget
from raybundle.resolve.answers.answers import answer
from raybundle.resolve.resolve import resolve
from raybundle.resolve.scan import workers
from raybundle.resolve.settings import ResolveSettings
from raybundle.resolve.walk import look_ahead
from tests.support.clocks import later
from tests.support.known import knowing
from tests.support.small_project import interpreter, tree

COUNTS = Path(__file__).parents[3] / "support" / "counted_plan.py"

clock = time.time_ns
"""Of the caches of this file."""


@pytest.fixture(params=["young", "old"])
def aged(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files whose stamps are distrusted, and files whose stamps are believed."""
    if request.param == "old":
        monkeypatch.setattr(f"{__name__}.clock", later)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def ask(root: Path, settings: ResolveSettings | None = None, cwd: Path | None = None) -> Resolution:
    """The answer from the cache, which must be the one that is found without it."""
    given = (ScriptTarget(root / "job.py"), settings or ResolveSettings(), interpreter(root.parent))
    found = answer(*given, cwd or root, Cache(root.parent / "cache", clock))
    fresh = resolve(*given, cwd or root, knowing(root.parent / "empty"))
    shutil.rmtree(root.parent / "empty", ignore_errors=True)

    assert found == fresh
    return found


def files(resolution: Resolution) -> list[str]:
    return [str(each.path) for each in resolution.modules if each.path]


def counted(root: Path, *wanted: str, site: Path = OWN.parent) -> dict[str, list[str]]:
    """What `plan` of the project's job opens, lists and imports, in a process of its own."""
    environ = {
        **os.environ,
        "PYTHONPATH": str(site),
        "XDG_CACHE_HOME": str(root.parent / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, str(COUNTS), "job.py", *wanted]
    ran = subprocess.run(command, cwd=root, env=environ, capture_output=True, check=True, text=True)
    document: dict[str, list[str]] = json.loads(ran.stdout)
    return document


def under(root: Path, paths: list[str]) -> list[str]:
    return sorted(path.removeprefix(f"{root}/") for path in paths if path.startswith(f"{root}/"))


@pytest.mark.usefixtures("aged")
def test_an_edit_within_the_same_second_is_seen_by_a_kept_answer(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": "", "b.py": ""})
    ask(root)
    (root / "job.py").write_text("import b")

    assert files(ask(root)) == ["project/job.py", "project/b.py"]


@pytest.mark.usefixtures("aged")
@pytest.mark.parametrize("name", ["a/__init__.py", "first/a.py", f"first/a{EXTENSION_SUFFIXES[0]}"])
def test_a_new_file_that_hides_a_module_is_seen_by_a_kept_answer(work: Path, name: str) -> None:
    root = tree(work / "p", {"job.py": "import a", "lib/a.py": "", "lib/a2.py": "", "first/b.py": ""})
    settings = ResolveSettings(roots=("first", "lib"))
    before = ask(root, settings)
    tree(root, {name: ""})

    assert files(before) == ["project/job.py", "project/lib/a.py"]
    assert files(ask(root, settings))[1] == f"project/{name}"


@pytest.mark.usefixtures("aged")
def test_a_directory_that_did_not_exist_is_seen_by_a_kept_answer(work: Path) -> None:
    root = tree(
        work / "p",
        {"job.py": "try:\n    import pkg.fast\nexcept ImportError:\n    import slow", "slow.py": ""},
    )
    before = ask(root)
    tree(root, {"pkg/fast.py": ""})

    assert files(before) == ["project/job.py", "project/slow.py"]
    assert "project/pkg/fast.py" in files(ask(root))


@pytest.mark.usefixtures("aged")
def test_another_branch_and_back_gives_the_first_answer(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": "import b", "b.py": ""})
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "one")
    first = ask(root)
    git(root, "checkout", "-q", "-b", "other")
    (root / "a.py").unlink()
    tree(root, {"a/__init__.py": "from . import c", "a/c.py": ""})
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "two")
    second = ask(root)
    git(root, "checkout", "-q", "main")

    assert "project/a/c.py" in files(second)
    assert ask(root) == first


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


@pytest.mark.usefixtures("aged")
def test_the_answer_for_a_script_is_the_same_from_another_directory(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": ""})

    assert ask(root) == ask(root, cwd=work)


@pytest.mark.usefixtures("aged")
def test_a_driver_that_puts_its_directory_on_the_path_has_an_answer_for_each(work: Path) -> None:
    edit = "import os, sys\nsys.path.append(os.path.join(os.getcwd(), 'lib'))\nimport a"
    root = tree(work / "p", {"job.py": edit, "lib/a.py": "", "sub/lib/a.py": ""})

    assert [files(ask(root, cwd=cwd))[1] for cwd in (root, root / "sub", root)] == [
        "project/lib/a.py",
        "project/sub/lib/a.py",
        "project/lib/a.py",
    ]


@pytest.mark.usefixtures("aged")
def test_an_answer_for_a_module_holds_in_its_directory_alone(work: Path) -> None:
    given = (ModuleTarget(ModuleName("job")), ResolveSettings(), interpreter(work))
    for name in ("one", "two"):
        tree(work / name, {"job.py": "", "pyproject.toml": ""})
    kept = Cache(work / "cache", clock)

    assert [answer(*given, work / name, kept).project for name in ("one", "two", "one")] == [
        work / "one",
        work / "two",
        work / "one",
    ]


@pytest.mark.usefixtures("aged")
def test_a_link_that_leads_elsewhere_or_to_something_at_last_is_seen(work: Path) -> None:
    root = tree(
        work / "p", {"job.py": "import a, sys\nsys.path.append('/nowhere')", "x/a.py": "", "y/a.py": "1"}
    )
    (root / "link").symlink_to(work / "hidden")
    (work / "hidden").symlink_to(root / "x")
    settings = ResolveSettings(roots=("link",))
    before = files(ask(root, settings))
    (work / "hidden").unlink()
    (work / "hidden").symlink_to(root / "y")

    assert [before[1], files(ask(root, settings))[1]] == ["project/x/a.py", "project/y/a.py"]


@pytest.mark.usefixtures("aged")
def test_a_module_whose_link_led_nowhere_is_seen_once_there_is_something(work: Path) -> None:
    root = tree(work / "p", {"job.py": "try:\n    import a\nexcept ImportError:\n    pass", "pkg/m.py": ""})
    (root / "a.py").symlink_to(root / "pkg/late.py")
    before = files(ask(root))
    (root / "pkg/late.py").write_text("")

    assert [before, files(ask(root))] == [["project/job.py"], ["project/job.py", "project/a.py"]]


@pytest.mark.usefixtures("aged")
def test_what_include_matches_now_decides(work: Path) -> None:
    root = tree(work / "p", {"job.py": "", "deep/one/a.txt": "", "deep/two/a.md": ""})
    settings = ResolveSettings(include=("deep/**/*.txt",))
    before = ask(root, settings)
    tree(root, {"deep/two/b.txt": ""})

    assert [len(before.data), len(ask(root, settings).data)] == [1, 2]


@pytest.mark.usefixtures("aged")
def test_new_data_of_a_package_is_seen_by_a_kept_answer(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import pkg", "pkg/__init__.py": "", "pkg/sub/a.csv": ""})
    before = ask(root)
    tree(root, {"pkg/sub/b.csv": ""})

    assert [len(before.data), len(ask(root).data)] == [1, 2]


def test_an_answer_of_damaged_bytes_is_found_again(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": ""})
    before = ask(root)
    for file in (work / "cache").glob("[as]*/*"):
        file.write_bytes(file.read_bytes().replace(b"project/a", b"project/b"))

    assert ask(root) == before


KIND = Kind("folder", 2)


def test_a_cache_that_others_may_write_is_not_believed(work: Path) -> None:
    kept = Cache(work)
    kept.write_text(KIND, "name", "text")
    before = kept.read_text(KIND, "name")
    kept.path(KIND, "name").chmod(0o666)

    assert [before, kept.read_text(KIND, "name")] == ["text", ""]


@pytest.mark.parametrize("source", ["model.py", "resolve/scan/scan.py", "resolve/new/new.py"])
def test_what_other_code_of_raybundle_found_is_not_believed(work: Path, source: str) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": ""})
    own = Path(shutil.copytree(OWN, work / "raybundle"))
    given = (ScriptTarget(root / "job.py"), ResolveSettings(), interpreter(work), root)
    answer(*given, Cache(work / "cache", code=OWN))
    before = {each.name for kind in ("answers", "scans") for each in (work / "cache" / kind).iterdir()}
    (own / source).parent.mkdir(exist_ok=True)
    (own / source).write_text("# learned something")
    answer(*given, Cache(work / "cache", code=own))
    after = {each.name for kind in ("answers", "scans") for each in (work / "cache" / kind).iterdir()}

    assert len(after - before) == len(before) == 2


@pytest.mark.parametrize("killed", [False, True])
def test_parallel_and_serial_answers_are_the_same(
    work: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    wide = "".join(f"from pkg import m{number}\n" for number in range(40))
    modules = {f"pkg/m{number}.py": f"from . import n{number}, absent" for number in range(40)}
    here = f"import sys\nif sys.platform == {sys.platform!r}:\n    from . import p"
    leaves = {f"pkg/n{number}.py": here.replace(" p", f" p{number}") for number in range(40)}
    leaves |= {f"pkg/p{number}.py": "" for number in range(40)}
    root = tree(
        work / "p", {"job.py": wide, "pkg/__init__.py": "", **modules, **leaves, "pkg/n7.py": "\xe9 = 1"}
    )
    given = (ScriptTarget(root / "job.py"), ResolveSettings(), interpreter(work), root)
    monkeypatch.setattr(look_ahead, "ENOUGH", 10**9)
    serial = resolve(*given, knowing(work / "one"))
    monkeypatch.setattr(look_ahead, "ENOUGH", 2)
    monkeypatch.setattr(workers, "processors", lambda: 3)
    if killed:
        monkeypatch.setattr(workers, "_START", "import sys; sys.stdin.readline(); sys.stdin.readline()")

    assert resolve(*given, knowing(work / "two")) == serial
    assert len(serial.modules) == 121


def test_a_warm_plan_reads_no_directory_and_no_module_and_loads_nothing_that_scans(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import pkg.a", "pkg/__init__.py": "", "pkg/a.py": "import json"})
    for file in root.rglob("*"):
        os.utime(file, (1, 1))
    cold = counted(root, "old")
    warm = counted(root, "old")
    rooms = ("scan.scan", "scan.calls.import_calls", "scan.workers", "walk.closure", "find.finder", "resolve")
    scanning = {f"raybundle.resolve.{name}" for name in rooms}

    assert under(root, cold["resolve_listed"]) == ["pkg"]
    assert scanning - {"raybundle.resolve.scan.workers"} <= set(cold["loaded"])
    assert not (scanning | {"subprocess", "multiprocessing"}) & set(warm["loaded"])
    assert under(root, warm["resolve_listed"]) == []
    assert under(root, warm["opened"]) == ["pyproject.toml"]


PARSES = {"raybundle.resolve.scan.scan", "raybundle.resolve.scan.workers"}


@pytest.mark.slow
def test_a_restored_cache_spares_a_fresh_checkout_and_a_fresh_installation_all_parsing(work: Path) -> None:
    names = [f"m{number}" for number in range(look_ahead.ENOUGH + 2)]
    texts = {"job.py": f"from pkg import {', '.join(names)}", "pkg/__init__.py": ""}
    texts |= {f"pkg/{name}.py": f"import json  # {name}" for name in names}
    first = counted(tree(work / "here/p", texts))
    fresh = tree(work / "there/other/q", {**texts, "pkg/m0.py": "import os", "pkg/more.py": ""})
    shutil.copytree(work / "here/cache", fresh.parent / "cache")
    shutil.copytree(OWN, work / "site/raybundle", ignore=shutil.ignore_patterns("__pycache__"))
    (own := work / "site/raybundle/version.py").write_bytes(own.read_bytes())
    edited = counted(fresh, site=work / "site")
    (fresh / "pkg/m0.py").write_text(texts["pkg/m0.py"])
    shutil.rmtree(fresh.parent / "cache")
    shutil.copytree(work / "here/cache", fresh.parent / "cache")
    restored = counted(fresh, site=work / "site")

    assert set(first["loaded"]) >= PARSES
    assert PARSES & set(edited["loaded"]) == {"raybundle.resolve.scan.scan"}
    assert not PARSES & set(restored["loaded"])
    assert len(under(fresh, restored["resolve_opened"])) > look_ahead.ENOUGH


@pytest.mark.slow
def test_another_branch_and_back_parses_nothing_again(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import a", "a.py": "import b", "b.py": ""})
    counted(root)
    (root / "a.py").write_text("import json")
    other = counted(root)
    (root / "a.py").write_text("import b")
    back = counted(root)

    assert "raybundle.resolve.scan.scan" in other["loaded"]
    assert not PARSES & set(back["loaded"])


def test_an_edit_reads_no_description_of_a_distribution_again(work: Path) -> None:
    root = tree(work / "p", {"job.py": "import json"})

    def described(edit: int) -> list[str]:
        (root / "job.py").write_text(f"import json\nEDIT = {edit}\n")
        return [each for each in counted(root)["resolve_opened"] if each.endswith(".dist-info/RECORD")]

    first, end = described(0), time.monotonic() + 60
    edits = itertools.count(1)
    while (again := described(next(edits))) and time.monotonic() < end:
        time.sleep(1)  # an installer links these files into another environment, which makes them young

    assert first
    assert not again


@pytest.mark.slow
def test_what_is_opened_and_listed_follows_the_closure(work: Path) -> None:
    closure = {"job.py": "import pkg.a", "pkg/__init__.py": "", "pkg/a.py": ""}
    rest = {f"other_{number}/deep/m.py": "import pkg" for number in range(50)}
    small = counted(tree(work / "small/p", closure))
    large = counted(tree(work / "large/p", {**closure, **rest}))

    listed = under(work / "large/p", large["resolve_listed"])
    for kind in ("resolve_opened", "resolve_listed"):  # a young file is read once more
        assert set(under(work / "large/p", large[kind])) == set(under(work / "small/p", small[kind]))
    assert len(set(listed)) == len(listed)


def test_an_answer_depends_on_every_file_and_directory_that_was_asked_for(work: Path) -> None:
    texts = {
        "job.py": "import pkg.a, yaml",
        "pkg/__init__.py": "",
        "pkg/a.py": "",
        "pkg/settings.yaml": "a: b.c",
    }
    root = tree(work / "p", texts)
    cold = counted(root)
    (kept,) = (work / "cache/raybundle/answers").iterdir()
    record = json.loads(kept.read_text().partition("\n")[2])["consulted"]

    assert under(root, cold["resolve_listed"]) == ["pkg"]
    assert set(under(root, cold["resolve_listed"])) <= set(under(root, record["directories"]))
    assert set(under(root, cold["resolve_opened"])) <= set(under(root, record["files"]))


def test_a_kept_answer_counts_paths_from_where_the_job_starts(work: Path) -> None:
    root = tree(work / "p", {"job.py": "open('x.json')\n", "x.json": "", "sub/x.json": ""})
    at_root = [each.path for each in ask(root).data]
    below = [each.path for each in ask(root, cwd=root / "sub").data]
    again = [each.path for each in ask(root).data]

    assert (at_root, below, again) == (["project/x.json"], ["project/sub/x.json"], ["project/x.json"])
