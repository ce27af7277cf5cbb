from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raybundle.cache.documents import Cache
from raybundle.model import Interpreter, Resolution, ScriptTarget
from raybundle.resolve.evaluate.edits import Edit, apply_edits
from raybundle.resolve.facts import Facts, Guard, Import, Statement
from raybundle.resolve.find.directories import Directories, Listing
from raybundle.resolve.find.finder import Finder, FirstParty
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.resolve import ResolveSettings, resolve
from raybundle.resolve.start import Start
from raybundle.resolve.walk.closure import Sources, follow
from raybundle.resolve.walk.widen import Guesser

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from raybundle.resolve.walk.reached import Closure

NAMES = ("a", "b", "c")
PYTHON = Interpreter(
    executable="/python",
    implementation="cpython",
    version=(3, 11, 0),
    abi="",
    platform="linux-x86_64",
    path=(),
    stdlib=(),
    site=(),
    builtin_names=frozenset(),
    stdlib_names=frozenset(),
    suffixes=(".py",),
    editables=(),
)
MODULES = tuple(f"m{number}" for number in range(6))

imports = st.builds(
    Import,
    st.integers(1, 3),
    st.builds(Statement, st.sampled_from(MODULES), rule=st.sampled_from(["import", "import-module"])),
    st.builds(Guard, optional=st.booleans()),
)


def closure_of(graph: Mapping[str, list[Import]]) -> Closure:
    listing = Listing(frozenset(f"{name}.py" for name in graph))
    finder = Finder(("/r",), PYTHON, Directories({"/r": listing}))
    facts = {f"/r/{name}.py": Facts(name, tuple(found)) for name, found in graph.items()}
    start = Start("__main__", FirstParty("/r", f"/r/{MODULES[0]}.py", is_package=False))
    guesser = Guesser(finder, lambda *_: False, lambda *_: ())
    sources = Sources(facts.__getitem__, facts.__getitem__, lambda _: (), guesser, lambda _: b"")
    return follow(start, finder, sources)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(MODULES[1:]), st.lists(imports, max_size=4)),
    st.lists(imports, max_size=5),
    st.randoms(use_true_random=False),
)
def test_the_order_of_discovery_leaves_no_trace(
    graph: dict[str, list[Import]], first: list[Import], shuffler: random.Random
) -> None:
    graph = {**graph, MODULES[0]: first}
    shuffled = {name: shuffler.sample(found, len(found)) for name, found in graph.items()}
    one, other = closure_of(graph), closure_of(shuffled)

    assert (one.edges, one.misses, one.warnings) == (other.edges, other.misses, other.warnings)
    assert dict(sorted(one.reached.items())) == dict(sorted(other.reached.items()))


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("abc"), unique=True),
    st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(-4, 4))),
)
def test_edits_of_the_path_do_what_python_s_list_does(
    path: list[str], changes: list[tuple[str, int | None]]
) -> None:
    expected = list(path)
    for directory, index in changes:
        expected.append(directory) if index is None else expected.insert(index, directory)
    edits = [Edit(directory, index, 1) for directory, index in changes]

    assert apply_edits(path, edits) == list(dict.fromkeys(expected))


statements = st.one_of(
    st.sampled_from(NAMES).map(lambda name: f"import {name}"),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(lambda pair: "import {}.{}".format(*pair)),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(
        lambda pair: "from {} import {}".format(*pair)
    ),
    st.sampled_from(NAMES).map(lambda name: f"from . import {name}"),
    st.sampled_from(NAMES).map(lambda name: f"from .{name} import *"),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(
        lambda pair: "__import__('importlib').import_module('{}.{}')".format(*pair)
    ),
)
sources = st.lists(statements, max_size=3)
places = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.just(".py")),
    st.tuples(st.sampled_from(NAMES), st.just("/__init__.py")),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(lambda pair: ("/".join(pair), ".py")),
    st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map(
        lambda pair: ("/".join(pair), "/__init__.py")
    ),
).map("".join)
trees = st.dictionaries(st.tuples(st.sampled_from(("jobs", "lib")), places), sources, max_size=12)

DRIVER = """
import json, sys
{imports}
found = {{
    name: module.__file__
    for name, module in sys.modules.items()
    if getattr(module, "__file__", None) and module.__file__.startswith({base!r})
}}
json.dump(found, open({answer!r}, "w"))
"""


def guarded(statement: str) -> str:
    return f"try:\n    {statement}\nexcept (ImportError, AttributeError):\n    pass\n"


def really_imported(script: Path, lib: Path, answer: Path) -> dict[str, str]:
    environ = {"PYTHONPATH": str(lib), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-S", script], env=environ, check=True, cwd=script.parent)
    found: dict[str, str] = json.loads(answer.read_text())
    return found


def resolved(script: Path, lib: Path, base: Path) -> Resolution:
    environ = {**os.environ, "PYTHONPATH": str(lib)}
    found = describe(Path(sys.executable), environ, base, Cache(base / "cache"))
    return resolve(ScriptTarget(script), ResolveSettings(), found, base, Cache(base / "cache"))


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(trees, st.lists(statements.filter(lambda text: "from ." not in text), min_size=1, max_size=4))
def test_what_a_real_run_imports_is_a_subset_of_what_was_resolved(
    tree: dict[tuple[str, str], list[str]], driver: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(name).resolve()
        script, lib, answer = base / "jobs/job.py", base / "lib", base / "answer.json"
        for (root, place), body in tree.items():
            file = base / root / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("".join(map(guarded, body)))
        lib.mkdir(exist_ok=True)
        script.parent.mkdir(exist_ok=True)
        text = "".join(map(guarded, driver))
        script.write_text(DRIVER.format(imports=text, base=str(base), answer=str(answer)))
        really = really_imported(script, lib, answer)
        ours = {each.name: str(each.file) for each in resolved(script, lib, base).modules}

    assert {name: ours.get(name) for name in really} == really  # type: ignore[call-overload]
