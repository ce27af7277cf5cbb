"""Finds in a source what takes tasks out of the bundle, or adds to it: a `runtime_env` of their own."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from raybundle.graph.facts import Remark
from raybundle.graph.metadata import normalised_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LEAVES = frozenset({"working_dir", "py_modules", "py_executable", "worker_process_setup_hook"})
"""Fields of a runtime_env that replace the code, the interpreter or the hook of the job."""

_INSTALLS = frozenset({"pip", "uv", "conda"})
"""Fields by which Ray makes an environment on the node."""

_ENVIRONMENT = "runtime_env"
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:$|[\[<>=!~;@#\s])")
"""Of a line of a requirements file (PEP 508)."""
_WHEEL = re.compile(r"(?:^|/)([A-Za-z0-9][A-Za-z0-9._]*)-[^/\s]*\.whl\b")
"""A file or URL says its name in that of its wheel (PEP 427)."""


def runtime_envs(source: bytes, tree: ast.Module) -> list[Remark]:
    """Return a remark for each field of a literal `runtime_env` that leaves the bundle or adds to it."""
    if _ENVIRONMENT.encode() not in source:
        return []
    literals = {id(value): value for value in _literals(tree)}
    return [
        Remark(line, "runtime-env" if key in _LEAVES else "installer", key)
        for value in literals.values()
        for key, line in _fields(value)
        if key in _LEAVES | _INSTALLS
    ]


def installed_by(source: bytes, tree: ast.Module) -> tuple[str, ...]:
    """Return the distributions that `pip` and `uv` of literal runtime_envs list, normalised."""
    if _ENVIRONMENT.encode() not in source:
        return ()
    found: set[str] = set()
    for value in _literals(tree):
        for key, listed in _values(value):
            if key in _INSTALLS:
                found.update(requirement_names(_texts(listed)))
    return tuple(sorted(found))


def requirement_names(lines: Iterable[str]) -> Iterator[str]:
    """Yield the normalised names of requirements; options and what has no name are left out."""
    for line in lines:
        match = _REQUIREMENT.match(line) or _WHEEL.search(line)
        if match:
            yield normalised_name(match[1])


def _texts(node: ast.expr) -> Iterator[str]:
    return (
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    )


def _values(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match value:
        case ast.Dict(keys=keys, values=values):
            for key, each in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    yield key.value, each
        case ast.Call(keywords=keywords):
            yield from ((each.arg, each.value) for each in keywords if each.arg)
        case _:
            return


def _literals(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield what `runtime_env=` is given anywhere, or what is assigned to the name that it is given."""
    given: set[str] = {_ENVIRONMENT}
    for node in ast.walk(tree):
        match node:
            case ast.keyword(arg="runtime_env", value=ast.Name(id=name)):
                given.add(name)
            case ast.keyword(arg="runtime_env", value=value):
                yield value
            case ast.Dict(keys=keys, values=values):
                yield from (
                    value
                    for key, value in zip(keys, values, strict=True)
                    if isinstance(key, ast.Constant) and key.value == _ENVIRONMENT
                )
            case _:
                continue
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name in given:
                yield value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name in given:
                yield value
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))]
            ) if name in given:
                yield ast.Dict([ast.Constant(key, lineno=node.lineno)], [node.value])
            case _:
                continue


def _fields(value: ast.expr) -> Iterator[tuple[str, int]]:
    match value:
        case ast.Dict(keys=keys):
            yield from (
                (key.value, key.lineno)
                for key in keys
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )
        case ast.Call(
            func=ast.Name(id="dict" | "RuntimeEnv") | ast.Attribute(attr="RuntimeEnv"), keywords=keywords
        ):
            yield from ((each.arg, each.value.lineno) for each in keywords if each.arg)
        case _:
            return
