"""Makes the script that carries out a pickled call; the resolution reads in it what the pickle needs."""

from __future__ import annotations

import ast
import contextlib
import dis
import importlib.util
import inspect
import linecache
import re
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from raybundle.formats.pickles import read_pickle
from raybundle.functions.pickling import is_carried

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DRIVER = Path(__file__).with_name("_driver.py")
_LONGEST = 1000
"""Characters of a constant that the script repeats."""
_PLAIN = (str, int, float, bool, tuple, list, dict, type(None))


@dataclass(slots=True)
class Script:
    """Lines of the script, and where each comes from."""

    lines: list[str] = field(default_factory=list)
    places: list[tuple[Path, int]] = field(default_factory=list)

    def add(self, line: str, place: tuple[Path, int]) -> None:
        """Adds a line, unless it is there already and not part of a source."""
        if line.startswith((" ", "\t")) or line not in self.lines:
            self.lines.append(line)
            self.places.append(place)

    @property
    def content(self) -> bytes:
        """The script in bytes."""
        return "".join(f"{line}\n" for line in self.lines).encode(errors="surrogatepass")


def make_script(carried: Iterable[types.FunctionType], call: bytes, file: Path) -> Script:
    """Returns the script of a call.

    It imports what the pickle names, repeats constants and sources of the functions that the pickle carries,
    which it does not run, and ends with the part that all such scripts have.

    Args:
        carried: functions in the pickle.
        call: the pickle.
        file: of the script, as the place of lines that come from no source.
    """
    script, functions = Script(), list(carried)
    start = _place(functions[0].__code__) if functions else (file, 1)
    for module in read_pickle(call, "call.pickle").modules:
        if not is_carried(module):
            script.add(f"import {module}", start)
    for function in functions:
        _add_names(script, function)
    _add_sources(script, functions)
    for line in _DRIVER.read_text("utf-8").splitlines():
        script.lines.append(line)
        script.places.append((file, len(script.lines)))
    return script


def shown_name(filename: str) -> str:
    """Returns how a file of code is named to people: `In[3]` for a cell of a notebook."""
    with contextlib.suppress(Exception):
        shell = sys.modules["IPython"].get_ipython()
        label = shell.compile.format_code_name(filename)
        if label:
            return str(label[1])
    return filename


def known_lines(carried: Iterable[types.FunctionType]) -> dict[str, list[str]]:
    """Returns the source lines of functions by file, for tracebacks on a node; other lines are empty."""
    found: dict[str, list[str]] = {}
    for function in carried:
        lines, first = _source(function)
        kept = found.setdefault(function.__code__.co_filename, [])
        kept.extend(["\n"] * (first - 1 + len(lines) - len(kept)))
        kept[first - 1 : first - 1 + len(lines)] = lines
    return found


def _place(code: types.CodeType, line: int | None = None) -> tuple[Path, int]:
    return Path(shown_name(code.co_filename)), line or code.co_firstlineno


def _source(function: types.FunctionType) -> tuple[list[str], int]:
    """Returns the lines of a function and the number of the first; no lines if they are not found."""
    linecache.checkcache(function.__code__.co_filename)
    try:
        return inspect.getsourcelines(function.__code__)
    except (OSError, TypeError, IndexError, SyntaxError):
        return [], 1


def _add_names(script: Script, function: types.FunctionType) -> None:
    """Adds what the globals that a function uses mean, as far as an import or a constant says it."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    known = dict(function.__globals__)
    for name, cell in cells:
        with contextlib.suppress(ValueError):  # an empty cell
            known[name] = cell.cell_contents
    for code in _codes(function.__code__):
        for name in (*code.co_names, *code.co_freevars):
            line = _meaning(name, known[name]) if name in known else None
            if line is not None:
                script.add(line, _place(function.__code__))


def _meaning(name: str, value: Any) -> str | None:
    match value:
        case types.ModuleType(__name__=module) if module != "__main__":
            found = sys.modules.get(module)
            return None if found is None or is_carried(module) else f"import {module} as {name}"
        case PurePath():
            return f"from pathlib import Path; {name} = Path({str(value)!r})"
        case type() | types.FunctionType():
            module, own = str(value.__module__), str(value.__name__)
            found = sys.modules.get(module)
            known = module != "__main__" and getattr(found, own, None) is value
            if known and not is_carried(module):
                return f"from {module} import {own} as {name}"
        case _ if isinstance(value, _PLAIN) and not name.startswith("__"):
            text = repr(value)
            with contextlib.suppress(ValueError, SyntaxError, RecursionError, MemoryError):
                if len(text) <= _LONGEST and ast.literal_eval(text) == value:
                    return f"{name} = {text}"
    return None


def _add_sources(script: Script, functions: list[types.FunctionType]) -> None:
    done: list[tuple[str, int, int]] = []
    codes = {each.__code__: each for each in functions}
    for code in sorted(codes, key=lambda each: (each.co_filename, each.co_firstlineno)):
        function, (lines, first) = codes[code], _source(codes[code])
        last = first + len(lines) - 1
        if any(file == code.co_filename and start <= first and last <= end for file, start, end in done):
            continue
        head = f"def _raybundle_source_{len(done)}():"
        indent = "" if lines and lines[0][:1].isspace() else " "
        body = [f"{indent}{line}".rstrip() for line in lines]
        if lines and _is_absolute("\n".join([head, *body])):
            done.append((code.co_filename, first, last))
            script.add(head, _place(code, first))
            for number, line in enumerate(body, first):
                script.lines.append(line)
                script.places.append(_place(code, number))
        else:
            for line, number in _imports(function):
                script.add(line, _place(code, number))


def _is_absolute(text: str) -> bool:
    """Returns whether a source is Python, and that its imports mean the same in the script."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return not any(isinstance(each, ast.ImportFrom) and each.level for each in ast.walk(tree))


def _imports(function: types.FunctionType) -> Iterator[tuple[str, int]]:
    """Yields the imports in the byte-code of a function without a source, each with its line."""
    package = function.__globals__.get("__package__") or ""
    for code in _codes(function.__code__):
        constants, line = [], code.co_firstlineno
        for each in dis.get_instructions(code):
            line = each.starts_line if type(each.starts_line) is int else line
            if each.opname in {"LOAD_CONST", "LOAD_SMALL_INT"}:
                constants.append(each.argval)
            elif each.opname == "IMPORT_NAME":
                level, names = constants[-2:]
                with contextlib.suppress(ImportError):
                    module = importlib.util.resolve_name("." * level + each.argval, package)
                    listed = ", ".join(name for name in names or () if name != "*")
                    text = f"from {module} import {listed}" if listed else f"import {module}"
                    yield f"def _raybundle_import(): {text}", line


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for each in code.co_consts:
        if isinstance(each, types.CodeType):
            yield from _codes(each)


def script_name(name: str) -> str:
    """Returns the file name of the script for a function; no module has such a name."""
    return f"{re.sub(r'[^A-Za-z0-9_]+', '', name) or 'call'}.function.py"
