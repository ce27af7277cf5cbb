"""The law of the graph over generated projects: what a real Python imports is among what was resolved."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from raybundle.cache.documents import Cache
from raybundle.model import ScriptTarget
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.resolve import ResolveSettings, resolve

if TYPE_CHECKING:
    from raybundle.model import Interpreter, Resolution

RUNNER = Path(__file__).parents[1] / "support" / "forking_runner.py"
BATCH = 8
"""Projects of one example: all of them are run by one process."""
WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
"""Shrinking a whole batch takes minutes; the failing project is shown as it is, and is small."""

HEADER = """\
import os, sys, importlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
"""

ROOTS = ("jobs", "lib", "more", "edited")

names = st.sampled_from("ab")
dotted = st.sampled_from(["a", "b", "a.a", "a.b", "b.a", "b.b", "a.b.a", "b.a.b"])
"""Few names, so that most imports find something."""
dots = st.sampled_from([".", "..", "..."])


def filled(form: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.fixed_dictionaries(parts).map(lambda found: form.format(**found))


absolute = st.one_of(
    filled("import {x}", x=dotted),
    filled("import {x} as {y}", x=dotted, y=names),
    filled("from {x} import {y}", x=dotted, y=names),
    filled("import {x}; {x}.{y}", x=dotted, y=names),
    filled("import {x}; {x}.{y}.{z}.f", x=names, y=names, z=names),
    filled("from {x} import {y}; {y}.{z}.f", x=dotted, y=names, z=names),
    filled("importlib.import_module('{x}')", x=dotted),
    filled("__import__('{x}')", x=dotted),
)
relative = st.one_of(
    filled("from {up} import {x}", up=dots, x=names),
    filled("from {up}{x} import {y}", up=dots, x=dotted, y=names),
    filled("importlib.import_module('.{x}', __package__)", x=names),
)
stars = filled("from {x} import *", x=names | dotted) | filled("from .{x} import *", x=names)
WALK = """\
for each in "ab":
    with suppress(ImportError):
        importlib.import_module(f"{x}.{{each}}")"""
CONDITIONS = (
    "sys.version_info >= (3,)",
    "sys.version_info < (3, 8)",
    "sys.platform == 'win32'",
    "sys.platform.startswith('linux')",
    "os.name == 'posix'",
    "TYPE_CHECKING",
    "not TYPE_CHECKING",
    "sys.version_info >= (3, 10) and not TYPE_CHECKING",
    "'a' in sys.modules",
    "os.environ.get('HOME')",
)
IMPORTED_BY_GETATTR = (
    "importlib.import_module(f'{__name__}.{name}')",
    "importlib.import_module('.' + name, __name__)",
    "importlib.import_module('.%s' % name, __package__)",
)


def blocks(plain: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Statements, bare or under what may stand around an import; `plain` are allowed everywhere."""
    condition = st.sampled_from(CONDITIONS)
    anywhere = plain | stars
    walk = filled(WALK, x=dotted)
    return st.one_of(
        anywhere,
        stars,
        filled("try:\n    {x}\nexcept (ImportError, AttributeError):\n    pass", x=anywhere),
        filled("try:\n    {x}\nexcept ImportError:\n    {y}", x=anywhere, y=anywhere),
        filled("try:\n    {x}\nexcept Exception:\n    {y}\nelse:\n    {z}", x=plain, y=plain, z=plain),
        filled("with suppress(ImportError, AttributeError):\n    {x}", x=anywhere),
        filled("if {c}:\n    {x}\nelse:\n    {y}", c=condition, x=anywhere, y=anywhere),
        filled("if {c}:\n    {x}\nelif {d}:\n    {y}", c=condition, d=condition, x=plain, y=plain),
        filled("def call():\n    {x}\ncall()", x=plain),
        filled("def call():\n    try:\n        {x}\n    finally:\n        {y}\ncall()", x=plain, y=plain),
        filled("class Late:\n    {x}", x=plain),
        walk,
        walk,
        filled("[{x} for _ in 'a']", x=filled("__import__('{x}')", x=dotted)),
    )


exported = st.lists(names, min_size=1, unique=True).map(lambda each: f"__all__ = {each!r}")
GETTER = """\
def __getattr__(name):
    if name in "ab":
        return {x}
    raise AttributeError(name)
"""
getters = filled(GETTER, x=st.sampled_from(IMPORTED_BY_GETATTR))
heads = st.lists(exported | getters, max_size=2)
modules = st.tuples(heads, st.lists(blocks(absolute | relative), max_size=2)).map(
    lambda two: (*two[0], *two[1])
)
places = st.tuples(
    st.sampled_from(ROOTS),
    dotted.map(lambda name: name.replace(".", "/")),
    st.sampled_from([".py", "/__init__.py", "/__init__.py"]),
)
EDITS = (
    "sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'edited'))",
    "sys.path.append(str(Path(__file__).resolve().parent.parent / 'edited'))",
    "HERE = Path(__file__).parent\nsys.path.extend([str(HERE.parent / 'edited')])",
    "sys.path += [os.path.dirname(os.path.dirname(__file__)) + '/edited']",
    "sys.path.insert(1, str(Path(__file__).parents[1] / 'edited'))",
    "",
)


@dataclass(frozen=True, slots=True)
class Project:
    tree: dict[tuple[str, str, str], tuple[str, ...]]
    driver: tuple[str, ...]
    edit: str
    python_path: tuple[str, ...]

    def entries(self, base: Path) -> list[str]:
        """Returns PYTHONPATH."""
        return [str(base / each) for each in self.python_path]

    def order(self, base: Path) -> dict[str, Any]:
        """Writes the files and returns what the runner is told."""
        for (root, place, suffix), body in self.tree.items():
            write(base / root / f"{place}{suffix}", *body, "f = 0")
        for root in ROOTS:
            (base / root).mkdir(exist_ok=True)
        script = write(base / "jobs" / "job.py", self.edit, *self.driver)
        return {"script": str(script), "path": self.entries(base), "below": f"{base}/"}


def write(file: Path, *body: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([HEADER, *body, ""]))
    return file


projects = st.builds(
    Project,
    st.dictionaries(places, modules, min_size=5, max_size=14),
    st.lists(blocks(absolute), min_size=1, max_size=4).map(tuple),
    st.sampled_from(EDITS),
    st.sampled_from([("lib",), ("lib", "more"), ("more", "lib"), ()]),
)


EXPORTED = Project(
    {("lib", "a", "/__init__.py"): ("__all__ = ['b']",), ("lib", "a/b", ".py"): ()},
    ("from a import *",),
    "",
    ("lib",),
)
"""Only `__all__` names the submodule: too rare a draw to leave it to chance."""


def run_all(orders: list[dict[str, Any]]) -> list[dict[str, Any]]:
    command = [sys.executable, "-I", "-S", "-B", str(RUNNER)]
    done = subprocess.run(command, input=json.dumps(orders), capture_output=True, text=True, check=True)
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


@cache
def interpreter() -> Interpreter:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryDirectory() as directory:
        return describe(Path(sys.executable), clean, Path(directory), Cache(Path(directory)))


def resolved(project: Project, base: Path) -> Resolution:
    found = replace(interpreter(), path=(*project.entries(base), *interpreter().path))
    target = ScriptTarget(base / "jobs" / "job.py")
    return resolve(target, ResolveSettings(), found, base, Cache(base / "cache"))


@pytest.mark.slow
@settings(max_examples=20, deadline=None, phases=WITHOUT_SHRINKING)
@example([EXPORTED])
@given(st.lists(projects, min_size=BATCH, max_size=BATCH))
def test_whatever_a_real_run_executes_is_resolved_to_the_very_file(drawn: list[Project]) -> None:
    with tempfile.TemporaryDirectory() as name:
        bases = [Path(name).resolve() / str(number) for number in range(len(drawn))]
        answers = run_all([project.order(base) for project, base in zip(drawn, bases, strict=True)])
        for project, base, real in zip(drawn, bases, answers, strict=True):
            ours = {str(each.name): str(each.file) for each in resolved(project, base).modules}
            modules = {module: os.path.realpath(file) for module, file in real["modules"].items()}

            assert set(map(os.path.realpath, real["ran"])) - set(ours.values()) == set(), project
            assert {module: ours.get(module) for module in modules} == modules, project
