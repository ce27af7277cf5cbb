"""Finds the fields of a literal `runtime_env` that a bundle does not support or does differently."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from raybundle.resolve.distributions.installed import normalised_name
from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.facts import Remark
from raybundle.resolve.scan.tables import texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LEAVES = frozenset({"working_dir", "py_modules", "py_executable"})
"""Fields of a runtime_env that replace the code or the interpreter of the job."""

_INSTALLS = frozenset({"pip", "uv", "conda"})
"""Fields that make Ray create an environment on the node."""

_OF_CLUSTERS = frozenset(
    {"num_cpus", "num_gpus", "resources", "labels", "object_store_memory", "_system_config"}
)
"""Arguments that `ray.init` accepts only if it starts the cluster (`worker.py`)."""

_ENVIRONMENT = "runtime_env"
_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:$|[\[<>=!~;@#\s])")
"""The name in a line of a requirements file (PEP 508)."""
_WHEEL = re.compile(r"(?:^|/)([A-Za-z0-9][A-Za-z0-9._]*)-[^/\s]*\.whl\b")
"""The name in the file name of a wheel (PEP 427)."""

_HERE = frozenset({".", "./", ""})
"""Values of `working_dir` that mean the project, which tasks have anyway."""


def runtime_envs(words: bytes, tree: ast.Module) -> list[Remark]:
    """Returns a remark for each field of a literal `runtime_env` that leaves the bundle or adds to it."""
    if _ENVIRONMENT.encode() not in words:
        return []
    found = {(id(value), in_init): value for value, in_init in _literals(tree)}
    remarks = [
        remark
        for (_, in_init), value in found.items()
        for key, asked in _fields(value)
        for remark in _remarks(key, asked, in_init=in_init)
    ]
    return list(dict.fromkeys(remarks))


def own_clusters(source: bytes, tree: ast.Module) -> Iterator[Remark]:
    """Yields a remark for each `ray.init` that describes a cluster to start: a job connects to one."""
    if b"ray.init" not in source:
        return
    for node in walk(tree):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="ray"), attr="init"), args=args, keywords=given
            ):
                named = {each.arg: each.value for each in given if each.arg}
                told = [
                    name for name, value in named.items() if name in _OF_CLUSTERS and not _is(value, None)
                ]
                if told and not any(_is(each, "local") for each in (*args[:1], named.get("address"))):
                    yield Remark(node.lineno, "own-cluster", ", ".join(told))
            case _:
                continue


def _is(node: ast.expr | None, value: str | None) -> bool:
    return isinstance(node, ast.Constant) and node.value == value


def installed_by(remarks: Iterable[Remark], tree: ast.Module) -> tuple[str, ...]:
    """Returns the distributions that `pip` and `uv` of literal runtime_envs list, normalised."""
    if not any(each.kind == "installer" for each in remarks):
        return ()
    found: set[str] = set()
    for value, _ in _literals(tree):
        for key, listed in _fields(value):
            if key in _INSTALLS:
                found.update(requirement_names(text for text, _ in texts(listed)))
    return tuple(sorted(found))


def requirement_names(lines: Iterable[str]) -> Iterator[str]:
    """Yields the normalised names of requirements. Options and lines without a name are skipped."""
    for line in lines:
        match = _REQUIREMENT.match(line) or _WHEEL.search(line)
        if match:
            yield normalised_name(match[1])


def _remarks(key: str, asked: ast.expr, *, in_init: bool) -> Iterator[Remark]:
    """Yields the remarks about one field. Other values of `ray.init` are checked as the job runs."""
    line = asked.lineno
    if isinstance(asked, ast.Constant) and asked.value is None:
        return
    if key in _INSTALLS:
        yield Remark(line, "installer", key)
    elif not in_init or key == "py_executable":
        if key in _LEAVES:
            yield Remark(line, "runtime-env", key)
    elif key == "py_modules" and isinstance(asked, ast.List | ast.Tuple) and asked.elts:
        yield Remark(line, "py-modules", key)
    elif key == "working_dir" and isinstance(asked, ast.Constant) and asked.value not in _HERE:
        yield Remark(line, "working-dir", str(asked.value))


def _literals(tree: ast.Module) -> Iterator[tuple[ast.expr, bool]]:
    """Yields each value of `runtime_env=`, or what is assigned to the name that is passed.

    Yields:
        The expression, and whether it is passed to `ray.init`. Only there, the bundle is combined with it.
    """
    named: set[tuple[str, bool]] = set()
    for value, in_init in _given(tree):
        if isinstance(value, ast.Name):
            named.add((value.id, in_init))
        else:
            yield value, in_init
    if not any(name == _ENVIRONMENT for name, _ in named):
        named.add((_ENVIRONMENT, True))
    for name, in_init in sorted(named):
        yield from ((value, in_init) for value in _assigned(tree, name))


def _given(tree: ast.Module) -> Iterator[tuple[ast.expr, bool]]:
    for node in walk(tree):
        match node:
            case ast.Call(func=function, keywords=keywords):
                yield from (
                    (each.value, last_name(function) == "init")
                    for each in keywords
                    if each.arg == _ENVIRONMENT
                )
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == _ENVIRONMENT:
                        yield value, False
            case _:
                continue


def _assigned(tree: ast.Module, given: str) -> Iterator[ast.expr]:
    for node in walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name == given:
                yield value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name == given:
                yield value
            case ast.Assign(
                targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key)))]
            ) if name == given:
                yield ast.Dict([ast.Constant(key, lineno=node.lineno)], [node.value])
            case _:
                continue


def _fields(value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match value:
        case ast.Dict(keys=keys, values=values):
            yield from (
                (key.value, each)
                for key, each in zip(keys, values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )
        case ast.Call(
            func=ast.Name(id="dict" | "RuntimeEnv") | ast.Attribute(attr="RuntimeEnv"), keywords=keywords
        ):
            yield from ((each.arg, each.value) for each in keywords if each.arg)
        case _:
            return
