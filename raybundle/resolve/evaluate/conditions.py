"""Decides `if` tests about version and platform as the target interpreter would, if it can."""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING, Any

from raybundle.resolve.evaluate.chains import split_chain
from raybundle.resolve.evaluate.parsing import walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from raybundle.resolve.facts import Mode
    from raybundle.resolve.interpreter.markers import Environment

UNKNOWN = object()
"""The value of what depends on more than version and platform."""
QUESTIONS: dict[str, Callable[[Environment], Any]] = {
    "sys.version_info": lambda target: target.version_info,
    "sys.version_info.major": lambda target: target.version[0],
    "sys.version_info.minor": lambda target: target.version[1],
    "sys.version_info.micro": lambda target: target.version[2],
    "sys.platform": lambda target: target.sys_platform,
    "sys.implementation.name": lambda target: target.implementation,
    "os.name": lambda target: target.os_name,
    "platform.system()": lambda target: target.system or UNKNOWN,
}
"""What a source may ask the target, and the answers."""
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_COLLECTIONS: dict[type[ast.expr], Any] = {ast.Tuple: tuple, ast.List: list, ast.Set: frozenset}
_CHECKING = "TYPE_CHECKING"
_AVAILABLE = re.compile(r"find_spec|_?HAS_\w+|_?HAVE_\w+|\w+_AVAILABLE|is_\w+_(available|installed)")
_ASKING = (b"find_spec", b"HAS_", b"HAVE_", b"_AVAILABLE", b"_available", b"_installed")
"""Every name that `_AVAILABLE` matches contains one of these."""


def decide(test: ast.expr, environment: Environment) -> bool | None:
    """Returns whether `test` holds on the target, or None if it depends on more than version and platform."""
    if type(test) is ast.UnaryOp and type(test.op) is ast.Not:
        inner = decide(test.operand, environment)
        return None if inner is None else not inner
    if type(test) is ast.BoolOp:
        parts = [decide(each, environment) for each in test.values]
        return _all_or_any(type(test.op) is ast.And, parts)
    value = value_of(test, environment)
    return None if value is UNKNOWN else bool(value)


def cases_of(match: ast.Match, environment: Environment) -> Iterator[ast.match_case]:
    """Yields the cases of `match sys.platform` that the target may run; of other values, all."""
    subject = value_of(match.subject, environment)
    for each in match.cases:
        fits = None if subject is UNKNOWN else _fits(each.pattern, subject, environment)
        if fits is not False:
            yield each
        if fits and each.guard is None:
            return


def _fits(pattern: ast.pattern, subject: Any, environment: Environment) -> bool | None:
    match pattern:
        case ast.MatchAs(pattern=None):
            return True
        case ast.MatchAs(pattern=ast.pattern() as inner):
            return _fits(inner, subject, environment)
        case ast.MatchOr(patterns=patterns):
            return _all_or_any(
                conjunction=False, parts=[_fits(each, subject, environment) for each in patterns]
            )
        case ast.MatchValue(value=value):
            known = value_of(value, environment)
            return None if known is UNKNOWN else bool(known == subject)
        case _:
            return None


def mode_of(test: ast.expr) -> tuple[Mode, Mode]:
    """Returns how a module must run for `test` to hold, and for it to fail. Empty if it does not matter."""
    match test:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return mode_of(operand)[::-1]
        case ast.BoolOp(op=ast.And(), values=[*values]):
            return next((mode for mode, _ in map(mode_of, values) if mode), ""), ""
        case ast.Compare(
            left=ast.Name(id="__name__"), ops=[op], comparators=[ast.Constant(value="__main__")]
        ):
            return ("main", "imported") if isinstance(op, ast.Eq) else ("imported", "main")
        case ast.Compare(left=ast.Name(id="__package__"), ops=[ast.Is() | ast.Eq() | ast.In()]):
            return "bare", "packaged"
        case ast.Compare(left=ast.Name(id="__package__"), ops=[ast.IsNot() | ast.NotEq() | ast.NotIn()]):
            return "packaged", "bare"
        case ast.Name(id="__package__"):
            return "packaged", "bare"
        case _:
            return "", ""


def may_ask_for_module(words: bytes) -> bool:
    """Returns whether a source has any of the words that `asks_for_module` looks for."""
    return any(word in words for word in _ASKING)


def asks_for_module(test: ast.expr) -> bool:
    """Returns whether `test` asks if something is installed (`find_spec`, `HAS_…`, `is_…_available()`)."""
    return any(
        _AVAILABLE.fullmatch(each.id if isinstance(each, ast.Name) else each.attr)
        for each in walk(test)
        if isinstance(each, (ast.Name, ast.Attribute))
    )


def _all_or_any(conjunction: bool, parts: list[bool | None]) -> bool | None:
    decisive = not conjunction
    if decisive in parts:
        return decisive
    return None if None in parts else conjunction


def value_of(  # noqa: C901 - one case per form of expression
    node: ast.expr, environment: Environment
) -> Any:
    """Returns what `node` is on the target, or UNKNOWN."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) if name != _CHECKING:
            return environment.constants.get(name, UNKNOWN)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compared(left, op, right, environment)
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return _collection(node, [value_of(each, environment) for each in elements])
        case ast.NamedExpr(value=value):
            return value_of(value, environment)
        case ast.Name() | ast.Attribute(attr="TYPE_CHECKING"):
            return environment.constants.get(_text(node), False)
        case ast.BoolOp() | ast.UnaryOp(op=ast.Not()) | ast.IfExp():
            return _chosen(node, environment)
        case ast.Subscript():
            return _subscript(node, environment)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            values = [value_of(each, environment) for each in (left, *comparators)]
            return _chain(values, [type(op) for op in ops])
        case ast.Call(func=ast.Attribute(value=text, attr="startswith" | "lower" | "upper" as method)):
            return _of_text(method, value_of(text, environment), node, environment)
        case _:
            name = _text(node)
            if name in environment.constants:
                return environment.constants[name]
            return QUESTIONS[name](environment) if name in QUESTIONS else UNKNOWN


def _chosen(node: ast.BoolOp | ast.UnaryOp | ast.IfExp, environment: Environment) -> Any:
    holds = decide(node.test if isinstance(node, ast.IfExp) else node, environment)
    if holds is None:
        return UNKNOWN
    if isinstance(node, ast.IfExp):
        return value_of(node.body if holds else node.orelse, environment)
    return holds


def _text(node: ast.expr) -> str:
    """Returns `a.b.c` or `a.b.c()` as it is written, or an empty string."""
    called = isinstance(node, ast.Call) and not node.args and not node.keywords
    base = node.func if isinstance(node, ast.Call) and called else node
    start, names = split_chain(base)
    text = ".".join([start.id, *names]) if isinstance(start, ast.Name) else ""
    return text + "()" * called


def _subscript(node: ast.Subscript, environment: Environment) -> Any:
    value = value_of(node.value, environment)
    try:
        index = ast.literal_eval(node.slice) if not isinstance(node.slice, ast.Slice) else _slice(node.slice)
        return value[index]
    except (TypeError, ValueError, IndexError):
        return UNKNOWN


def _slice(node: ast.Slice) -> slice:
    parts = (ast.literal_eval(each) if each else None for each in (node.lower, node.upper, node.step))
    return slice(*parts)


def _collection(node: ast.expr, values: list[Any]) -> Any:
    if UNKNOWN in values:
        return UNKNOWN
    try:
        return _COLLECTIONS[type(node)](values)
    except TypeError:
        return UNKNOWN


def _chain(values: list[Any], operators: list[type[ast.cmpop]]) -> Any:
    """Returns the value of `a < b < c`. It is false if one part is, even if the others are unknown."""
    pairs = zip(values[:-1], operators, values[1:], strict=True)
    parts = [_compare(left, op, right) for left, op, right in pairs]
    known = [None if part is UNKNOWN else bool(part) for part in parts]
    decided = _all_or_any(conjunction=True, parts=known)
    return UNKNOWN if decided is None else decided


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr, environment: Environment) -> Any:
    """Returns the value of `a < b`. Most tests are of values that only the running program knows."""
    value = value_of(left, environment) if type(op) in _COMPARE else UNKNOWN
    return UNKNOWN if value is UNKNOWN else _compare(value, type(op), value_of(right, environment))


def _compare(left: Any, op: type[ast.cmpop], right: Any) -> Any:
    if UNKNOWN in (left, right) or op not in _COMPARE:
        return UNKNOWN
    try:
        return _COMPARE[op](left, right)
    except TypeError:
        return UNKNOWN


def _of_text(method: str, text: Any, call: ast.Call, environment: Environment) -> Any:
    arguments = [value_of(each, environment) for each in call.args]
    if (
        not isinstance(text, str)
        or call.keywords
        or not all(isinstance(each, (str, tuple)) for each in arguments)
    ):
        return UNKNOWN
    try:
        return getattr(text, method)(*arguments)
    except TypeError:
        return UNKNOWN
