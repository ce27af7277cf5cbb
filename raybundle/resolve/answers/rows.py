"""Turns a resolution into rows of JSON and back: by column, each path and text written once."""

from __future__ import annotations

import base64
import functools
from array import array
from dataclasses import fields, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle import model

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.model import Resolution

GIVEN = ("target", "project", "interpreter", "not_imported")
"""Fields that the question holds already; an answer with runs of the target is not kept."""

ROWS: dict[str, type[Any]] = {
    "roots": model.Root,
    "modules": model.Module,
    "edges": model.Edge,
    "data": model.DataFile,
    "distributions": model.Distribution,
    "missing": model.Missing,
    "warnings": model.Warning,
    "not_found": model.Missing,
    "absent": model.Absent,
    "unknown": model.Unknown,
    "shadowed": model.Shadowed,
    "opened": model.Opened,
    "optional": model.Distribution,
    "plugins": model.Distribution,
    "obstacles": model.Warning,
}
"""Fields of a resolution that are tuples of values; the others are tuples of text."""


class CannotKeepError(Exception):
    """A value that has no form in the cache; the answer is not kept."""


_MANY = 1000
"""Values of one kind from which on it pays to make them the quick way."""

_path = functools.lru_cache(maxsize=1 << 16)(Path)
"""Paths are slow to make, and the answers of one command have most in common."""

_ABSENT = -1
"""Stands for None among numbers; no other number is negative."""


def to_document(resolution: Resolution) -> dict[str, Any]:
    """Returns what `from_document` makes the same resolution of.

    Raises:
        CannotKeepError: a field holds what this format does not know.
    """
    texts: dict[str, int] = {}
    found: dict[str, Any] = {}
    for each in fields(resolution):
        values = getattr(resolution, each.name)
        if each.name in ROWS:
            found[each.name] = {
                column.name: _column([getattr(value, column.name) for value in values], texts)
                for column in fields(ROWS[each.name])
            }
        elif each.name not in GIVEN:
            found[each.name] = _column(list(values), texts)
    return {"texts": list(texts), "fields": found}


def from_document(document: dict[str, Any], given: dict[str, Any]) -> Resolution:
    """Returns the resolution; `given` holds the fields of `GIVEN`.

    Raises:
        KeyError, TypeError, ValueError, IndexError: the document has another shape.
    """
    texts = document["texts"]
    read = functools.partial(_read, texts, {None: None})
    found: dict[str, Any] = {}
    for name, stored in document["fields"].items():
        if name in ROWS:
            found[name] = _values(ROWS[name], {each: read(*column) for each, column in stored.items()})
        else:
            found[name] = tuple(read(*stored))
    return model.Resolution(**given, **found)


def _values(kind: type[Any], columns: dict[str, list[Any]]) -> tuple[Any, ...]:
    names = tuple(each.name for each in fields(kind))
    ordered = [columns[name] for name in names]
    if len(ordered[0]) < _MANY:
        return tuple(map(kind, *ordered))
    # The constructor of a frozen class takes four times as long as that of its unfrozen twin; values of the
    # same slots may change their class.
    values = tuple(map(_twin(names), *ordered))
    for value in values:
        value.__class__ = kind
    return values


@functools.cache
def _twin(names: tuple[str, ...]) -> type[Any]:
    return make_dataclass("Twin", names, slots=True)


def _column(values: list[Any], texts: dict[str, int]) -> list[Any]:
    """Returns the kind of the values, and the values: numbers as the bytes of an array, others as JSON."""
    kinds = {_kind(value) for value in set(values) - {None, ()}}
    kind = kinds.pop() if kinds else "texts"
    if kinds:
        raise CannotKeepError
    writers: dict[str, Callable[[Any], Any]] = {
        "text": lambda value: texts.setdefault(value, len(texts)),
        "path": lambda value: texts.setdefault(str(value), len(texts)),
        "number": int,
        "flag": int,
        "bytes": lambda value: base64.b64encode(value).decode("ascii"),
        "texts": lambda value: [texts.setdefault(each, len(texts)) for each in value],
        "paths": lambda value: [texts.setdefault(str(each), len(texts)) for each in value],
    }
    write = writers[kind]
    if kind not in _TYPECODES:
        return [kind, [None if value is None else write(value) for value in values]]
    numbers = array(_TYPECODES[kind], [_ABSENT if value is None else write(value) for value in values])
    return [kind, base64.b64encode(numbers.tobytes()).decode("ascii")]


_TYPECODES = {"text": "i", "path": "i", "number": "q", "flag": "b"}
"""How numbers are packed: as JSON they would take longer to read than all the rest."""


def _kind(value: Any) -> str:
    match value:
        case str():
            return "text"
        case bool():
            return "flag"
        case int() if value >= 0:
            return "number"
        case Path():
            return "path"
        case bytes():
            return "bytes"
        case tuple() if all(isinstance(each, str) for each in value):
            return "texts"
        case tuple() if all(isinstance(each, Path) for each in value):
            return "paths"
        case _:
            raise CannotKeepError


def _read(texts: list[str], paths: dict[int | None, Path | None], kind: str, values: Any) -> list[Any]:
    """Returns the values of a column; `paths` holds those that were made, because paths are slow to make."""
    if kind in _TYPECODES:
        values = _unpacked(_TYPECODES[kind], values)
    match kind:
        case "text":
            return [None if value is None else texts[value] for value in values]
        case "path":
            paths.update({each: _path(texts[each]) for each in set(values) - paths.keys()})
            return list(map(paths.__getitem__, values))
        case "flag":
            return list(map({None: None, 0: False, 1: True}.__getitem__, values))
        case "number":
            return list(values)
        case "bytes":
            return [None if value is None else base64.b64decode(value) for value in values]
        case "texts":
            return [value and tuple([texts[each] for each in value]) for value in map(_as_tuple, values)]
        case "paths":
            return [
                value and tuple([Path(texts[each]) for each in value]) for value in map(_as_tuple, values)
            ]
        case _:
            raise ValueError(kind)


def _as_tuple(value: list[int] | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value)


def _unpacked(typecode: str, packed: str) -> list[int | None]:
    numbers: list[Any] = array(typecode, base64.b64decode(packed)).tolist()
    if min(numbers, default=0) >= 0:
        return numbers
    return [None if number == _ABSENT else number for number in numbers]
