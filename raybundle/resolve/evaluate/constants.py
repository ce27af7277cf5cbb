"""Finds the variables of a source whose values depend only on the target's version and platform."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raybundle.resolve.evaluate.conditions import QUESTIONS, UNKNOWN, value_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.interpreter.markers import Environment

_WORDS = (b"platform", b"version_info", b"import os", b"from os", b"implementation")
"""Every source that asks a question about the target contains one of these."""
_MODULES = frozenset(question.partition(".")[0] for question in QUESTIONS)


def with_constants(tree: ast.Module, source: bytes, environment: Environment) -> Environment:
    """Return an environment that also knows the variables that a source sets once, at its top level."""
    if not any(word in source for word in _WORDS):
        return environment
    found: dict[str, Any] = {}
    growing = replace(environment, constants=found)
    for statement in tree.body:
        found.update(_named_by(statement, growing))
    if not found:
        return environment
    bound = Counter(_bound(tree))
    once = {name: value for name, value in found.items() if bound[_variable(name)] == 1}
    return replace(environment, constants=once)


def _variable(name: str) -> str:
    return name.partition(".")[0].removesuffix("()")


def _named_by(statement: ast.stmt, environment: Environment) -> Iterator[tuple[str, Any]]:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            known = value_of(value, environment)
            if known is not UNKNOWN and not _is_literal(value):
                yield name, known
        case ast.Import(names=aliases):
            for alias in aliases:
                if alias.asname and alias.name in _MODULES:
                    yield from _asked(f"{alias.name}.", f"{alias.asname}.", environment)
        case ast.ImportFrom(module=str(module), names=aliases) if module in _MODULES:
            for alias in aliases:
                yield from _asked(f"{module}.{alias.name}", alias.asname or alias.name, environment)
        case _:
            return


def _asked(start: str, name: str, environment: Environment) -> Iterator[tuple[str, Any]]:
    """Yield the questions that begin with `start`, under the name `name`, and their answers."""
    for question in QUESTIONS:
        if question.startswith(start):
            value = QUESTIONS[question](environment)
            if value is not UNKNOWN:
                yield name + question.removeprefix(start), value


def _is_literal(node: ast.expr) -> bool:
    """Return whether a value does not depend on the target. Another module may set such a variable."""
    return not any(isinstance(each, (ast.Name, ast.Attribute)) for each in ast.walk(node))


def _bound(tree: ast.Module) -> Iterator[str]:
    """Yield each name as often as something binds it, in any scope."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                yield name
            case ast.alias(name=name, asname=asname):
                yield asname or name.partition(".")[0]
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ExceptHandler(name=str(name)):
                yield name
            case ast.Global(names=names):
                yield from names
            case _:
                continue
