"""Finds functions that import what their callers give them, and what calls of such functions give."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

from raybundle.resolve.evaluate.calls import Calls
from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.name_values import ANY, NameValues
from raybundle.resolve.evaluate.parsing import children, parse, walk
from raybundle.resolve.facts import Loader
from raybundle.resolve.scan.calls.modules import ModuleNames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from raybundle.resolve.facts import Walks
    from raybundle.resolve.scan.calls.import_calls import DynamicImports

_IGNORE = b"raybundle: ignore"


_PLAIN = (ast.FunctionDef, ast.AsyncFunctionDef)


class Given(NamedTuple):
    """A call of a function that imports what it is given."""

    line: int
    function: str
    names: tuple[str, ...]
    """The modules that it may be given, also relative to the package of the file."""
    known: bool
    """There are no others."""


def loaders(tree: ast.Module, dynamic: DynamicImports) -> Iterator[Loader]:
    """Yields the functions that import or walk what they are given, and those that pass it on to one."""
    unknown = {each.line: each.pattern for each in dynamic.unknown if each.pattern.startswith(ANY)}
    functions = dict(_functions(tree, "")) if unknown or dynamic.given else {}
    found: dict[str, Walks] = {}
    left = {*dynamic.given, *unknown}
    for name, node in functions.items():
        own = set(filter(_within(node), left))
        if own:
            found[name] = _walks(dynamic.walks[line] for line in own & dynamic.walks.keys())
        left -= own  # what is left in a class is what its objects hold
    while more := {
        name: _walks(found[each] for each in called)
        for name, node in functions.items()
        if name not in found and (called := found.keys() & set(_called(node)))
    }:
        found |= more
    plain = {each.name: each for each in tree.body if isinstance(each, _PLAIN)}
    for name, walks in sorted(found.items()):
        inside = _within(plain[name]) if name in plain else None
        lines = (line for line, pattern in unknown.items() if walks or pattern == ANY)
        yield Loader(name, walks, tuple(sorted(filter(inside, lines))) if inside else ())


def _walks(found: Iterable[Walks]) -> Walks:
    """Returns the one of several ways that reaches most."""
    return max(found, key=("", "flat", "deep").index, default="")


_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _functions(node: ast.AST, owner: str) -> Iterator[tuple[str, _Function]]:
    """Yields the functions with arguments, by the names with which they are called; methods first."""
    for each in children(node):
        match each:
            case ast.FunctionDef(name=name, args=given) | ast.AsyncFunctionDef(name=name, args=given) if (
                not name.startswith("__") and len([*given.args, *given.kwonlyargs]) > bool(owner)
            ):
                yield name, each
            case ast.ClassDef(name=name):
                yield from _functions(each, name)
                yield name, each
            case ast.If() | ast.Try():
                yield from _functions(each, owner)
            case _:
                continue


def _within(node: _Function) -> Callable[[int], bool]:
    return lambda line: node.lineno <= line <= (node.end_lineno or node.lineno)


def _called(node: _Function) -> Iterator[str]:
    return (last_name(each.func) for each in walk(node) if isinstance(each, ast.Call))


def given(source: bytes, file: str, functions: Mapping[str, Loader]) -> tuple[list[Given], bool]:
    """Returns what the calls of some functions in a source give, and whether it only calls them."""
    if not _mentioned(functions, source):
        return [], True
    tree = parse(source, file)
    calls = Calls(frozenset())
    bound = [each for each in walk(tree) if isinstance(each, (ast.Import, ast.ImportFrom))]
    for each in bound:
        calls.bind_all(each)
    modules = ModuleNames(calls, NameValues(tree, calls.bindings, file.endswith("__init__.py")))
    lines = source.splitlines()
    aliases = [alias for each in bound for alias in each.names if alias.name in functions]
    functions = {**functions, **{each.asname: functions[each.name] for each in aliases if each.asname}}
    mentions = sum(1 + bool(each.asname) for each in aliases)
    found: list[Given] = []
    for node in modules.names.nodes:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name) if (
                name in functions
            ):
                mentions += 1
            case ast.Call(func=function) if (name := last_name(function)) in functions:
                mentions += 1
                if not any(_IGNORE in each for each in lines[node.lineno - 1 : node.end_lineno]):
                    found.append(_of_call(node, functions[name], modules))
            case _:
                continue
    return found, mentions == _mentioned(functions, source)


def _mentioned(names: Iterable[str], source: bytes) -> int:
    form = rb"\b(?:" + "|".join(map(re.escape, sorted(names))).encode() + rb")\b"
    return len(re.findall(form, source))


def _of_call(call: ast.Call, loader: Loader, modules: ModuleNames) -> Given:
    arguments = [*(call.args if loader.walks else call.args[:1]), *(each.value for each in call.keywords)]
    found: dict[str, None] = {}
    known = False
    for each in arguments:
        texts = [*modules.names.texts(each), *modules.names.items(each)]
        whole = [text for text in texts if text.whole]
        found |= dict.fromkeys("." if text.own and not text.value else text.value for text in whole)
        packages = [*modules.walked(each), *modules.of(each)] if loader.walks else []
        found |= dict.fromkeys(packages)
        known = known or bool(whole or packages)
    return Given(call.lineno, loader.name, tuple(each for each in found if _is_name(each)), known)


def _is_name(text: str) -> bool:
    """Returns whether a text may name a module, or something in it: `pkg.mod:attr`."""
    return bool(text) and all(each.isidentifier() for each in re.split(r"[.:]+", text.lstrip(".")) if each)
