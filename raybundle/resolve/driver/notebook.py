"""Makes a script of a notebook: its Python cells in order, without what only a notebook understands."""

from __future__ import annotations

import ast
import re
import warnings
from bisect import bisect_right
from dataclasses import dataclass
from json.decoder import JSONDecoder, scanstring  # type: ignore[attr-defined]
from json.scanner import py_make_scanner  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from raybundle.errors import BundleError
from raybundle.model import Warning
from raybundle.resolve.driver.generated import Generated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

CELL_MARK = "# %%"
"""Stands before each cell of the script: a comment that editors know, and the same for any cell."""
_PYTHON_BODIES = frozenset({"time", "capture", "prun"})
"""Cell magics whose cell is Python that runs once, in the notebook's own names."""
_WITHOUT_EFFECT = re.compile(r"%%?(time|prun)\b|%(matplotlib|autoreload|config)\b|%load_ext autoreload\b")
"""Magics that change nothing of what the code does: times, pictures in the page, modules loaded again."""
_MAGIC = re.compile(
    r"[ \t]*(?P<magic>%%?[ \t]*\w+|!!?[ \t]*\S+|\?{1,2}\S*|[%\w.*]+\?{1,2}(?=\s*$))(?P<rest>.*)"
)
_TAKES_OUTPUT = re.compile(r"[ \t]*[\w.,\[\]'\"() \t]+?=[ \t]*(?P<magic>!|%[ \t]*\w+)")
_QUOTES = re.compile(r"\"\"\"|'''|[\"']")
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_ONLY_THERE = {
    "get_ipython": "leave it out, or ask for it in a `try` with `except NameError`",
    "display": "`from IPython.display import display`, or `print`",
}


class _Placed(str):
    """A string of a JSON text that knows where it begins."""

    __slots__ = ("offset",)
    offset: int


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    place: int
    """Line of the notebook's file."""
    number: int
    """In its cell, from 1."""


@dataclass(frozen=True, slots=True)
class _Cell:
    number: int
    """Among the code cells, from 1."""
    lines: tuple[_Line, ...]


def notebook_script(file: Path) -> Generated:
    """Returns the script of a notebook, in its directory under its name with `.py` at the end.

    No module has that name, so nothing imports it by accident, and it takes the place of none.

    Raises:
        BundleError: it is no notebook of Python, or a cell is no Python.
    """
    cells = list(_code_cells(file))
    noted: list[Warning] = []
    kept = [_Cell(cell.number, tuple(_plain(file, cell, noted))) for cell in cells]
    kept = [cell for cell in kept if cell.lines]
    for cell in kept:
        _check(file, [(cell.number, line) for line in cell.lines])
    placed = [(cell.number, line) for cell in kept for line in [_marked(cell), *cell.lines]]
    tree = _check(file, placed)
    noted += _only_there(tree, file, placed)
    text = "".join(f"{line.text}\n" for _, line in placed)
    return Generated(
        file.with_name(f"{file.name}.py"),
        text.encode(),
        file,
        tuple(line.place for _, line in placed),
        tuple(noted),
    )


def _marked(cell: _Cell) -> _Line:
    return _Line(CELL_MARK, cell.lines[0].place, 1)


def _code_cells(file: Path) -> Iterator[_Cell]:
    text = _read(file)
    try:
        document = _parse(text)
        language = _language(document)
        sheets = document.get("worksheets") or [document]  # of notebooks before format 4
        found = [cell for sheet in sheets for cell in sheet["cells"] if cell["cell_type"] == "code"]
        sources = [cell.get("source", cell.get("input", [])) for cell in found]
        starts = [0, *(match.end() for match in re.finditer("\n", text))]
        cells = [_Cell(number, tuple(_lines(source, starts))) for number, source in enumerate(sources, 1)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(f"{file} is no notebook: {error!r}", hint="is it saved as .ipynb?") from error
    if language not in ("", "python", "ipython"):
        raise BundleError(f"the notebook {file} is {language}, and not Python")
    yield from cells


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BundleError(f"cannot read the notebook {file}: {error}") from error


def _parse(text: str) -> Any:
    """Returns the JSON value of `text`, whose strings know where they are."""

    def placed(source: str, end: int, strict: bool = True) -> tuple[_Placed, int]:
        value, stop = scanstring(source, end, strict)
        string = _Placed(value)
        string.offset = end
        return string, stop

    decoder: Any = JSONDecoder()
    decoder.parse_string = placed
    decoder.scan_once = py_make_scanner(decoder)
    return decoder.decode(text)


def _language(document: Any) -> str:
    metadata = document.get("metadata", {})
    kernel, info = metadata.get("kernelspec", {}), metadata.get("language_info", {})
    return str(info.get("name") or kernel.get("language") or "").lower()


def _lines(source: Any, starts: list[int]) -> Iterator[_Line]:
    """Yields the lines of a cell, whose source is one string or several."""
    pieces: list[_Placed] = [source] if isinstance(source, _Placed) else list(source)
    text = "".join(pieces)
    ends: list[int] = []
    for piece in pieces:
        ends.append((ends[-1] if ends else 0) + len(piece))
    offset = 0
    for number, line in enumerate(text.split("\n"), 1):
        place = pieces[min(bisect_right(ends, offset), len(pieces) - 1)].offset if pieces else 0
        yield _Line(line.rstrip("\r"), bisect_right(starts, place), number)
        offset += len(line) + 1


def _plain(file: Path, cell: _Cell, noted: list[Warning]) -> Iterable[_Line]:
    """Returns the lines of a cell that are Python; what is left out is noted."""
    lines = list(cell.lines)
    while lines and not lines[0].text.strip():
        del lines[0]
    while lines and not lines[-1].text.strip():
        del lines[-1]
    if lines and lines[0].text.startswith("%%"):
        first, *lines = lines
        name = first.text[2:].split(maxsplit=1)[0] if first.text[2:].strip() else ""
        if name not in _PYTHON_BODIES:
            noted.append(_left_out(file, cell, first, f"the cell `%%{name}`"))
            return []
        if not _WITHOUT_EFFECT.match(first.text):
            noted.append(_left_out(file, cell, first, f"`%%{name}`"))
    if _is_python(lines):
        return lines if any(line.text.strip() for line in lines) else []
    return list(_without_magics(file, cell, lines, noted))


def _left_out(file: Path, cell: _Cell, line: _Line, what: str) -> Warning:
    text = f"code cell {cell.number}, line {line.number}: {what} is left out: only a notebook understands it"
    return Warning(text, file, line.place, "remove it, or say in Python what it does")


def _is_python(lines: Iterable[_Line]) -> bool:
    try:
        _compiled("".join(f"{line.text}\n" for line in lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _compiled(text: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes are the user's to hear of elsewhere
        tree = ast.parse(text)
        compile(tree, "<cell>", "exec", dont_inherit=True)  # `await` and `return` outside of a function
    return tree


def _without_magics(file: Path, cell: _Cell, lines: Iterable[_Line], noted: list[Warning]) -> Iterator[_Line]:
    """Yields the lines; a magic that begins a statement becomes `pass`, so that blocks stay whole."""
    state, goes_on = _State(), False
    for line in lines:
        if goes_on:  # of a magic
            goes_on = line.text.endswith("\\")
            yield _Line("", line.place, line.number)
        elif state.begins_statement() and (found := _magic(file, cell, line)):
            goes_on = line.text.endswith("\\")
            indent = line.text[: len(line.text) - len(line.text.lstrip())]
            if not _WITHOUT_EFFECT.match(line.text.strip()):
                noted.append(_left_out(file, cell, line, f"`{found['magic']}`"))
            timed = found["magic"].replace(" ", "") == "%time" and found["rest"].strip()
            yield _Line(f"{indent}{timed or 'pass'}", line.place, line.number)
        else:
            state.read(line.text)
            yield line


def _magic(file: Path, cell: _Cell, line: _Line) -> re.Match[str] | None:
    """Returns the magic that is `line`.

    Raises:
        BundleError: the line needs what a magic gives: leaving it out would change what follows.
    """
    taken = _TAKES_OUTPUT.match(line.text)
    if taken and not line.text.lstrip().startswith(("%", "!", "?")):
        raise BundleError(
            f"{file}, code cell {cell.number}, line {line.number}: "
            f"the code uses what `{taken['magic']}` gives",
            hint="say it in Python: `subprocess.run` for a command",
        )
    return _MAGIC.fullmatch(line.text)


class _State:
    """Where in Python a line begins: in a string, in brackets, after a backslash, or at a statement."""

    def __init__(self) -> None:
        self.quote = ""
        self.depth = 0
        self.goes_on = False

    def begins_statement(self) -> bool:
        return not (self.quote or self.depth or self.goes_on)

    def read(self, text: str) -> None:
        """Goes on by one line."""
        position, self.goes_on = 0, False
        while position < len(text):
            character = text[position]
            if character == "\\":
                self.goes_on = position == len(text) - 1
                position += 2
            elif self.quote:
                closes = text.startswith(self.quote, position)
                position += len(self.quote) if closes else 1
                self.quote = "" if closes else self.quote
            elif found := _QUOTES.match(text, position):
                self.quote = found[0]
                position = found.end()
            elif character == "#":
                break
            else:
                self.depth = max(0, self.depth + _DEPTH.get(character, 0))
                position += 1
        if len(self.quote) == 1 and not self.goes_on:
            self.quote = ""  # it ends with its line, closed or not


def _check(file: Path, lines: list[tuple[int, _Line]]) -> ast.Module:
    """Returns the tree of `lines`.

    Raises:
        BundleError: they are no Python, with cell and line.
    """
    try:
        return _compiled("".join(f"{line.text}\n" for _, line in lines))
    except SyntaxError as error:
        number, line = lines[min(error.lineno or 1, len(lines)) - 1]
        hint = "fix the cell"
        if "await" in error.msg or "async" in error.msg:
            hint = "a script is not run in an event loop, as a notebook is: `asyncio.run(...)`"
        raise BundleError(
            f"cannot parse {file}, code cell {number}, line {line.number}: {error.msg}", hint=hint
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or "it is too complex for the parser"
        raise BundleError(f"cannot parse {file}: {reason}", hint="fix the notebook") from error


def _only_there(tree: ast.Module, file: Path, placed: list[tuple[int, _Line]]) -> Iterator[Warning]:
    """Yields a warning for the first use of each name that a notebook has and a script has not."""
    asked = {id(each) for node in ast.walk(tree) for each in _asked_for(node)}
    names = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in _ONLY_THERE and id(node) not in asked
    ]
    own = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    own.update(
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    )
    own.update(node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef)))
    for name, hint in _ONLY_THERE.items():
        lines = [node.lineno for node in names if node.id == name and name not in own]
        if lines:
            number, line = placed[min(lines) - 1]
            text = f"code cell {number}, line {line.number}: there is no `{name}` in a job"
            yield Warning(text, file, line.place, hint)


def _asked_for(node: ast.AST) -> Iterator[ast.AST]:
    """Yields what runs only where a name is there, or does no harm where it is not."""
    match node:
        case ast.Try(body=body, handlers=handlers) if any(
            _catches_name_error(each.type) for each in handlers
        ):
            yield from (each for statement in body for each in ast.walk(statement))
        case ast.If(test=ast.Compare(left=ast.Constant(value=str(name)), ops=[ast.In()]), body=body):
            yield from (
                each
                for statement in body
                for each in ast.walk(statement)
                if isinstance(each, ast.Name) and each.id == name
            )
        case _:
            return


def _catches_name_error(node: ast.expr | None) -> bool:
    match node:
        case None:
            return True
        case ast.Tuple(elts=elements):
            return any(_catches_name_error(each) for each in elements)
        case ast.Name(id=name):
            return name in {"NameError", "Exception", "BaseException"}
        case _:
            return False
