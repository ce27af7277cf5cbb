"""Finds child processes that are not the bundle's: without its variables, or taken from beside Python."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.facts import Import, ProgramName, Remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.evaluate.name_values import NameValues

_OPTION = re.compile(rb"env(?<!\wenv)\s*=")
"""Begins with plain bytes, so that the search goes from one to the next; so do those below."""
_PATH = "PYTHONPATH"
_STARTS = frozenset(
    [
        "run",
        "Popen",
        "call",
        "check_call",
        "check_output",
        "create_subprocess_exec",
        "create_subprocess_shell",
    ]
)
"""Last names of calls that start a process with the option `env`."""
_OF_PYTHON = re.compile(r"sys\.executable|['\"]python[\d.]*\b")
_KEEPS = re.compile(r"environ|getenv")
_LONGEST = 60
_OF_PYTHON_ITSELF = re.compile(rb"sys\.(?:exec_)?(?:executable|prefix)")
_PATH_OF = b"get_path"
_DIRECTORY = re.compile(
    r"(?:dirname|parent|split).*sys\.executable|sys\.executable.*(?:parent|split)|sys\.(?:exec_)?prefix.*\bbin\b"
    r"|get_path\(['\"]scripts['\"]"
)
"""What an expression says that is a program beside Python, or the directory of these programs."""
_LAST = re.compile(r"(?:.*/)?([A-Za-z][\w-]*)")
_OF_PYTHONS = re.compile(r"(?:python|pip|ray|serve|tune|activate)[\w.]*|bin")
"""Programs that are beside the nodes' Python."""
_UPWARDS = re.compile(
    r"parent\.parent|parents\[[1-9]|dirname\((?:os\.path\.)?dirname\(|['\"]\.\."
    r"|['\"/](?:lib|share|include|etc)['\"/]"
)
"""What leads from there to the other files of Python: if no `bin` follows, it is no program."""


_CHILDREN = frozenset({ast.Call, ast.Assign, ast.Dict})
_PROGRAMS = frozenset({ast.Call, ast.BinOp, ast.JoinedStr})


def children(source: bytes, words: bytes, names: NameValues) -> tuple[list[Import], list[Remark]]:
    """Returns the programs that a source takes from beside Python, and what is wrong with its children."""
    found = list(_beside_python(source, words, names))
    lost = _lost_environments(source, words, names)
    return [each for each, _ in found], [*lost, *(each for _, each in found)]


def _lost_environments(source: bytes, words: bytes, names: NameValues) -> Iterator[Remark]:
    """Yields each environment of a Python that lacks the variables of the job, or has its own PYTHONPATH."""
    for node in names.of(_CHILDREN) if _PATH.encode() in words or _OPTION.search(source) else ():
        match node:
            case ast.Call(keywords=keywords, args=[command, *_]) if last_name(node.func) in _STARTS:
                given = next((each.value for each in keywords if each.arg == "env"), None)
                if given is not None and _is_new(given, names) and _OF_PYTHON.search(_text(command, names)):
                    yield _remark(node, given)
            case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value="PYTHONPATH"))], value=value):
                if _PATH not in _text(value, names):
                    yield _remark(node, node)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    own = isinstance(key, ast.Constant) and key.value == _PATH
                    if own and None in keys and _PATH not in _text(value, names):
                        yield _remark(node, node)
            case _:
                continue


def _beside_python(source: bytes, words: bytes, names: NameValues) -> Iterator[tuple[Import, Remark]]:
    """Yields each program that a source takes from beside Python (`Path(sys.executable).parent / "x"`)."""
    is_there = _PATH_OF in words or (b"sys" in words and _OF_PYTHON_ITSELF.search(source))
    for node in names.of(_PROGRAMS) if is_there else ():
        match node:
            case ast.Call(func=ast.Attribute(attr="join"), args=[start, *_, ast.Constant(value=str(end))]):
                text = _text(start, names)
            case ast.Call(
                func=ast.Attribute(value=start, attr="joinpath" | "with_name" as method),
                args=[ast.Constant(value=str(end))],
            ):
                text = _text(start, names) + (".parent" if method == "with_name" else "")
            case (
                ast.BinOp(left=start, op=ast.Div() | ast.Add(), right=ast.Constant(value=str(end)))
                | ast.JoinedStr(values=[ast.FormattedValue(value=start), *_, ast.Constant(value=str(end))])
            ):
                text = _text(start, names)
            case _:
                continue
        text, last = f"{text} {ast.unparse(node)}", _LAST.fullmatch(end)
        elsewhere = _UPWARDS.search(text) and not re.search(r"\bbin\b", text)
        if last and not _OF_PYTHONS.fullmatch(last[1]) and _DIRECTORY.search(text) and not elsewhere:
            program = Import(node.lineno, ProgramName(last[1], may_be_absent=True))
            yield program, Remark(node.lineno, "beside-python", last[1])


def _is_new(node: ast.expr, names: NameValues) -> bool:
    """Returns whether an environment has nothing of the one around it."""
    match node:
        case ast.Dict(keys=keys):
            return None not in keys and not _KEEPS.search(ast.unparse(node))
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            return all(each.arg for each in keywords)
        case ast.Name(id=name):
            bound = names.bindings(name)
            changed = re.search(rf"\b{name}\.update\(|\b{name}\s*\|=", ast.unparse(names.tree))
            return bool(bound) and not changed and all(each and _is_new(each, names) for each in bound)
        case _:
            return False


def _text(node: ast.expr, names: NameValues) -> str:
    """Returns the source of an expression, and of what its names are bound to."""
    found = [ast.unparse(node)]
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            found += [ast.unparse(value) for value in names.bindings(each.id) if value is not None]
    return " ".join(found)


def _remark(place: ast.expr | ast.stmt, node: ast.AST) -> Remark:
    text = ast.unparse(node)
    return Remark(place.lineno, "environment", text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
