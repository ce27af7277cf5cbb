"""Handmade resolutions, for tests of the code that explains them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from raybundle.model import (
    ArchivePath,
    Edge,
    Interpreter,
    Module,
    ModuleKind,
    ModuleName,
    Resolution,
    Root,
    RootSymbol,
    Rule,
    ScriptTarget,
)

PROJECT = Path("/project")

INTERPRETER = Interpreter(
    executable="/python",
    implementation="cpython",
    version=(3, 11, 7),
    abi="cpython-311-x86_64-linux-gnu",
    platform="linux-x86_64",
    path=("/std", "/site"),
    stdlib=("/std",),
    site=("/site",),
    builtin_names=frozenset({"sys"}),
    stdlib_names=frozenset({"sys", "json"}),
    suffixes=(".py",),
    editables=(),
)


def edge(text: str, rule: Rule = "import", line: int = 1, *, optional: bool = False) -> Edge:
    """Returns the edge that `text` describes, such as `a > b`."""
    importer, imported = text.split(" > ")
    return Edge(ModuleName(importer), ModuleName(imported), file_of(importer), line, rule, optional)


def file_of(name: str) -> Path:
    return PROJECT / ("job.py" if name == "__main__" else f"{name.replace('.', '/')}.py")


def graph(*edges: Edge | str, **fields: Any) -> Resolution:
    """Returns a resolution with these imports. Every module is a file of the project."""
    drawn = tuple(edge(each) if isinstance(each, str) else each for each in edges)
    names = {"__main__", *(each.imported for each in drawn), *(each.importer for each in drawn)}
    resolution = Resolution(
        target=ScriptTarget(PROJECT / "job.py"),
        project=PROJECT,
        interpreter=INTERPRETER,
        path=(RootSymbol("project:."), RootSymbol("stdlib"), RootSymbol("ray")),
        roots=(Root(RootSymbol("project:."), PROJECT),),
        modules=tuple(module(name) for name in sorted(names)),
        edges=tuple(sorted(drawn, key=lambda each: (each.importer, each.imported, each.line))),
        data=(),
        distributions=(),
        missing=(),
        warnings=(),
    )
    return replace(resolution, **fields)


def module(name: str) -> Module:
    path = ArchivePath(f"project/{file_of(name).relative_to(PROJECT)}")
    kind: ModuleKind = "script" if name == "__main__" else "module"
    return Module(ModuleName(name), kind, file_of(name), RootSymbol("project:."), path, "static", "0" * 64)
