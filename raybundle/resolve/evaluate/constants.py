"""Finds the variables of a source whose values depend only on the target's version and platform."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raybundle.resolve.evaluate.conditions import QUESTIONS, UNKNOWN, value_of
from raybundle.resolve.evaluate.name_values import ANY
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.evaluate.targets import pairs
from raybundle.resolve.facts import UnknownImport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.interpreter.markers import Environment

_CHECKING = "TYPE_CHECKING"
_OWN_CHECKING = (
    re.compile(rb"TYPE_CHECKING\s*(?::[^=\n]*)?=(?!=)"),
    re.compile(rb"\.(?<!\btyping\.)(?<!\bt\.)(?<!\btyping_extensions\.)(?<=\w\.)TYPE_CHECKING"),
    re.compile(
        rb"from\s+(?!typing\b|typing_extensions\b)[\w.]+\s+import\s+(?:\([^)]*|[^\n(]*)\bTYPE_CHECKING"
    ),
)
"""Stand in a source whose `TYPE_CHECKING` may not be that of `typing`. Each begins with plain bytes, so that
three searches are many times as fast as one for all of them."""
_SWITCH = re.compile(rb"^[ \t]*(\w+\.TYPE_CHECKING\s*=(?!=)[^\n#]*)", re.MULTILINE)
_TYPING = frozenset({"typing", "typing_extensions"})
"""Modules whose `TYPE_CHECKING` is false."""
_WORDS = (b"platform", b"version_info", b"implementation", b"MYPY")
_OF_OS = (b"import os", b"from os")
"""Every source that asks a question about the target contains one of these."""
_MYPY = "MYPY"
"""A name that mypy takes for true; it is false in every run."""
_MODULES = frozenset(question.partition(".")[0] for question in QUESTIONS)


def with_constants(tree: ast.Module, source: bytes, words: bytes, environment: Environment) -> Environment:
    """Returns an environment that also knows the variables that a source sets once, at its top level."""
    if _CHECKING.encode() in words and any(form.search(source) for form in _OWN_CHECKING):
        environment = replace(environment, constants=dict(_checking(tree, environment)))
    of_os = b" os" in words and any(each in source for each in _OF_OS)
    if not of_os and not any(word in words for word in _WORDS):
        return environment
    found: dict[str, Any] = {}
    growing = replace(environment, constants=found)
    for statement in tree.body:
        found.update(_named_by(statement, growing))
    flags = [
        (each.name, flag)
        for each in tree.body
        if isinstance(each, ast.ClassDef)
        for flag in _flags_of(each, growing)
    ]
    if not found and not flags:
        return environment
    bound = Counter(_bound(tree))
    once = {name: value for name, value in found.items() if bound[_variable(name)] == 1}
    once |= {
        f"{owner}.{name}": value
        for defined, (name, value) in flags
        if bound[defined] == bound[name] == 1 and f".{name}" not in bound
        for owner in (defined, "self", "cls")
    }
    return replace(environment, constants={**once, **environment.constants})


def _checking(tree: ast.Module, environment: Environment) -> Iterator[tuple[str, Any]]:
    """Yields the values of `TYPE_CHECKING` that are not that of `typing`, which is false in every run."""
    values: dict[str, set[Any]] = {}
    for node in walk(tree):
        match node:
            case ast.ImportFrom(module=module, names=names) if module not in _TYPING:
                for alias in names:
                    name = alias.asname or alias.name
                    values.setdefault(
                        _CHECKING if alias.name == _CHECKING else f"{name}.{_CHECKING}", {UNKNOWN}
                    )
            case ast.Import(names=names):
                for alias in (each for each in names if each.name not in _TYPING):
                    values.setdefault(f"{alias.asname or alias.name}.{_CHECKING}", {UNKNOWN})
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
            ):
                name = ast.unparse(target) if isinstance(target, (ast.Name, ast.Attribute)) else ""
                if name.rpartition(".")[2] == _CHECKING:
                    known = value_of(value, environment)
                    values.setdefault(name, set()).add(known if known is UNKNOWN else bool(known))
            case _:
                continue
    for name, found in values.items():
        yield name, found.pop() if len(found) == 1 else UNKNOWN


def switches(source: bytes, words: bytes) -> Iterator[UnknownImport]:
    """Yields what sets the `TYPE_CHECKING` of another module. It counts in all modules that load later."""
    may_switch = _CHECKING.encode() in words and b".TYPE_CHECKING" in source
    for found in _SWITCH.finditer(source) if may_switch else ():
        text = found[1].decode(errors="replace").strip()
        if not text.endswith("False"):
            yield UnknownImport(source.count(b"\n", 0, found.start(1)) + 1, text, ANY)


def _variable(name: str) -> str:
    return name.partition(".")[0].removesuffix("()")


def _named_by(statement: ast.stmt, environment: Environment) -> Iterator[tuple[str, Any]]:
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            known = value_of(value, environment)
            if known is not UNKNOWN and (name == _MYPY or not _is_literal(value)):
                yield name, known
        case ast.Assign(targets=[ast.Tuple() as target], value=ast.Tuple() as value):
            for each, given in pairs(target, value):
                if given is not None:
                    yield from _named_by(ast.Assign([each], given), environment)
        case ast.Import() | ast.ImportFrom():
            yield from _renamed(statement, environment)
        case _:
            return


def _flags_of(node: ast.ClassDef, environment: Environment) -> Iterator[tuple[str, Any]]:
    """Yields the attributes of a class that depend on the target."""
    for statement in node.body:
        yield from _named_by(statement, environment)


def _renamed(statement: ast.Import | ast.ImportFrom, environment: Environment) -> Iterator[tuple[str, Any]]:
    module = statement.module or "" if isinstance(statement, ast.ImportFrom) else None
    for alias in statement.names if module is None or module in _MODULES else ():
        if module is not None:
            yield from _asked(f"{module}.{alias.name}", alias.asname or alias.name, environment)
        elif alias.asname and alias.name in _MODULES:
            yield from _asked(f"{alias.name}.", f"{alias.asname}.", environment)


def _asked(start: str, name: str, environment: Environment) -> Iterator[tuple[str, Any]]:
    """Yields the questions that begin with `start`, under the name `name`, and their answers."""
    for question in QUESTIONS:
        if question.startswith(start):
            value = QUESTIONS[question](environment)
            if value is not UNKNOWN:
                yield name + question.removeprefix(start), value


def _is_literal(node: ast.expr) -> bool:
    """Returns whether a value does not depend on the target. Another module may set such a variable."""
    return not any(isinstance(each, (ast.Name, ast.Attribute)) for each in walk(node))


def _bound(tree: ast.Module) -> Iterator[str]:
    """Yields each name as often as something binds it, in any scope; attributes with a dot before them."""
    for node in walk(tree):
        match node:
            case ast.Attribute(attr=name, ctx=ast.Store() | ast.Del()):
                yield f".{name}"
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
