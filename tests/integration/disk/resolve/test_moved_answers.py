"""An answer is found again for the same files at another place, and only if the place decides nothing."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybundle.cache.documents import Cache
from raybundle.errors import BundleError
from raybundle.model import Interpreter, Resolution, ScriptTarget
from raybundle.resolve import resolve as resolving
from raybundle.resolve.answers.answers import answer
from raybundle.resolve.consulted import Consulted, unchanged
from raybundle.resolve.find.directories import Directories
from raybundle.resolve.resolve import resolve
from raybundle.resolve.settings import ResolveSettings
from tests.support.clocks import early, later
from tests.support.small_project import interpreter, tree

if TYPE_CHECKING:
    from raybundle.resolve.resolve import Recorded

Files = dict[str, str]
FRESH = Cache(Path(tempfile.mkdtemp(prefix="raybundle-tests-")))
"""Has no answers, because `resolve` keeps none; only what it has found in the environment."""
atexit.register(shutil.rmtree, FRESH.directory, ignore_errors=True)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def ask(
    root: Path, cache: Path, found: Interpreter, settings: ResolveSettings | None = None
) -> tuple[Resolution, bool]:
    """The answer, which must be the one that is found without a cache, and whether it was kept."""
    given = (ScriptTarget(root / "job.py"), settings or ResolveSettings(), found, root)
    walked, walk = [], resolving.resolve_recorded

    def noted(*asked: Any) -> Recorded:
        walked.append(asked)
        return walk(*asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resolving, "resolve_recorded", noted)
        kept = answer(*given, Cache(cache))

    assert kept == resolve(*given, FRESH)
    return kept, not walked


PLAIN = {
    "job.py": "import pkg.a, jmespath\nopen('data/x.csv')",
    "pkg/__init__.py": "",
    "pkg/a.py": "import missing",
}
PLAIN |= {"data/x.csv": "1", "pkg/note.txt": "2"}


def moved(work: Path, files: Files, to: str = "there/other", settings: ResolveSettings | None = None) -> bool:
    """Whether the answer for `work/here/p` is found for the same files in `work/to`."""
    found = interpreter(work)
    here, there = tree(work / "here/p", files), tree(work / to, files)
    ask(here, work / "cache", found, settings)
    return ask(there, work / "cache", found, settings)[1]


def test_a_checkout_in_another_directory_finds_the_answer(work: Path) -> None:
    assert moved(work, PLAIN)


def test_both_checkouts_stay_warm(work: Path) -> None:
    assert moved(work, PLAIN)
    assert [
        ask(work / place, work / "cache", interpreter(work))[1] for place in ("here/p", "there/other")
    ] == [
        True,
        True,
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"pkg/a.py": "import pkg.b", "pkg/b.py": ""},
        {"pkg.py": ""},
        {"jmespath.py": ""},
        {"missing.py": ""},
        {"data/y.csv": "", "job.py": "import os\nos.listdir('data')"},
    ],
)
def test_a_checkout_with_other_files_has_its_own_answer(work: Path, changed: Files) -> None:
    moved(work, PLAIN)
    there = tree(work / "there/third", {**PLAIN, **changed})

    assert not ask(there, work / "cache", interpreter(work))[1]


@pytest.mark.parametrize(
    "source",
    [
        "open('{work}/here/p/data/x.csv')",
        "open('{work}/there/other/data/x.csv')",
        "import sys\nsys.path.insert(0, '{work}/here/p/pkg')\nimport a",
        "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), '..'))\nimport p.pkg",
        "import sys\nsys.path.insert(0, '..')\nimport other",
        "open('../sibling.csv')",
    ],
)
def test_a_source_that_says_where_it_is_has_an_answer_for_each_place(work: Path, source: str) -> None:
    tree(work, {"here/sibling.csv": ""})

    assert not moved(work, {**PLAIN, "job.py": source.format(work=work)})


def test_a_checkout_in_the_first_one_and_one_around_it_have_their_own_right_answers(work: Path) -> None:
    moved(work, PLAIN, to="here/p/nested")
    moved(work, PLAIN, to="here")


def test_a_directory_on_the_path_that_has_the_checkouts_decides(work: Path) -> None:
    found = replace(interpreter(work), path=(str(work / "here"), *interpreter(work).path))
    files = {"job.py": "import p.pkg.a", "pkg/__init__.py": "", "pkg/a.py": ""}
    ask(tree(work / "here/p", files), work / "cache", found)

    assert not ask(tree(work / "here/q", files), work / "cache", found)[1]


def environment(directory: Path, version: str = "1.0", depends: str = "") -> Interpreter:
    """An environment with a distribution, and the interpreter of the tests in it."""
    site = directory / "lib/python3/site-packages"
    described = f"library-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: library\nVersion: {version}\n{depends}"
    record = f"../../../bin/library,{directory.name},\nlibrary/__init__.py,,\n{described}/METADATA,,\n"
    files = {"library/__init__.py": "", f"{described}/METADATA": metadata, f"{described}/RECORD": record}
    tree(
        site,
        {
            **files,
            f"{described}/INSTALLER": "test",
            "other-1.dist-info/METADATA": "Name: other\nVersion: 1\n",
        },
    )
    plain = interpreter(directory)
    executable = str(directory / "bin/python")
    stdlib = [each for each in plain.path if each not in plain.site]
    return replace(plain, executable=executable, path=(*stdlib, str(site)), site=(str(site),))


USES = {"job.py": "import library"}


def test_an_environment_that_is_installed_anew_elsewhere_finds_the_answer(work: Path) -> None:
    here, there = tree(work / "here/p", USES), tree(work / "there/other", USES)
    ask(here, work / "cache", environment(work / "one"))
    kept, was_kept = ask(there, work / "cache", environment(work / "two"))

    assert was_kept
    assert kept.distributions[0].metadata == work / "two/lib/python3/site-packages/library-1.0.dist-info"


def test_an_environment_that_is_installed_anew_at_its_place_keeps_the_answer(work: Path) -> None:
    root = tree(work / "here/p", USES)
    ask(root, work / "cache", environment(work / "one"))
    shutil.rmtree(work / "one")

    assert ask(root, work / "cache", environment(work / "one"))[1]


@pytest.mark.parametrize("other", [{"version": "1.1"}, {"depends": "Requires-Dist: other\n"}])
def test_an_environment_with_another_distribution_has_its_own_answer(work: Path, other: Files) -> None:
    root = tree(work / "here/p", USES)
    ask(root, work / "cache", environment(work / "one"))

    assert not ask(tree(work / "there/q", USES), work / "cache", environment(work / "two", **other))[1]


def test_a_kept_digest_of_distributions_is_that_of_their_files(work: Path) -> None:
    environment(work / "one")
    (site,) = map(str, work.glob("one/lib/*/site-packages"))
    cache, digests = Cache(work / "cache", later), []
    for version in ("1", "2", "2"):
        (work / site / "other-1.dist-info/METADATA").write_text(f"Name: other\nVersion: {version}\n")
        for _ in range(2):  # the second finds the digest
            record = Consulted(later())
            record.list({site: Directories().list(site)}, [site], cache)
            *identity, _, digest = record.sites[site]
            digests.append(digest)

            assert unchanged(replace(record, sites={site: [*identity, 1, digest]}), later())  # read again
    assert digests[0] == digests[1] != digests[2]
    assert len({*digests[2:]}) == 1


def test_no_digest_is_kept_of_distributions_that_may_be_changing(work: Path) -> None:
    environment(work / "one")
    (site,) = map(str, work.glob("one/lib/*/site-packages"))
    for clock, kept in ((early, 0), (later, 1)):
        Consulted(clock()).list({site: Directories().list(site)}, [site], Cache(work / "cache", clock))

        assert len(list((work / "cache").glob("sites/*"))) == kept


def test_a_setting_that_names_a_file_of_the_first_checkout_is_another_question_elsewhere(work: Path) -> None:
    given = ResolveSettings(arguments=(str(work / "here/p/data/x.csv"),))

    assert not moved(work, PLAIN, settings=given)


names = st.sampled_from(["a", "b", "sub.a", "sub.b"])
lines = st.one_of(
    names.map(lambda name: f"import {name}"),
    names.map(lambda name: f"from {name} import *"),
    names.map(lambda name: f"try:\n    import {name}\nexcept ImportError:\n    pass"),
    st.sampled_from(
        [
            "import sys\nsys.path.append('sub')",
            "import os, sys\nsys.path.insert(0, os.path.dirname(__file__))",
            "import os, sys\nsys.path.insert(0, os.path.dirname(os.path.dirname(__file__)))",
            "import sys\nsys.path.append('..')",
            "import pathlib\npathlib.Path(__file__).with_name('x.txt').read_text()",
            "import pathlib\npathlib.Path(__file__).resolve().parents[1].joinpath('x.txt').read_text()",
            "open('sub/x.txt')",
            "import os\nos.listdir('sub')",
            "import jmespath.missing",
            "import importlib\nimportlib.import_module(f'sub.{name}')",
        ]
    ),
)
sources = st.lists(lines, max_size=3).map("\n".join)
paths = st.sampled_from(["a.py", "b.py", "sub/__init__.py", "sub/a.py", "sub/b.py", "x.txt", "sub/x.txt"])
projects = st.dictionaries(paths, sources, max_size=6)


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(projects, sources, st.sampled_from(["there/other", "here/p2", "here/p/sub", "a", "sub"]))
def test_an_answer_that_moves_is_the_one_that_is_found_there(files: Files, job: str, to: str) -> None:
    with tempfile.TemporaryDirectory() as work, contextlib.suppress(BundleError):
        moved(Path(work).resolve(), {**files, "job.py": job}, to=to)
