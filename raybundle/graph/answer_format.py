"""Turns a resolution into rows of JSON and back: by column, each path and text written once."""

from __future__ import annotations

import base64
import functools
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle import model

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    "unknown": model.Unknown,
    "shadowed": model.Shadowed,
}
"""Fields of a resolution that are tuples of values; the others are tuples of text."""


class CannotKeepError(Exception):
    """A value that has no form in the cache; the answer is not kept."""


def to_document(resolution: Resolution) -> dict[str, Any]:
    """Return what `from_document` makes the same resolution of.

    Raises:
        CannotKeepError: a field holds what this format does not know.
    """
    texts = _Texts()
    found: dict[str, Any] = {}
    for each in fields(resolution):
        values = getattr(resolution, each.name)
        if each.name in ROWS:
            found[each.name] = _columns(ROWS[each.name], values, texts)
        elif each.name not in GIVEN:
            found[each.name] = _column(list(values), texts)
    return {"texts": list(texts.numbers), "fields": found}


def from_document(document: dict[str, Any], given: dict[str, Any]) -> Resolution:
    """Return the resolution; `given` holds the fields of `GIVEN`.

    Raises:
        KeyError, TypeError, ValueError, IndexError: the document has another shape.
    """
    texts = document["texts"]
    path_at = functools.cache(lambda number: Path(texts[number]))
    readers: dict[str, Callable[[Any], Any]] = {
        "as-is": lambda value: value,
        "text": texts.__getitem__,
        "path": path_at,
        "bytes": base64.b64decode,
        "texts": lambda numbers: tuple([texts[number] for number in numbers]),
        "paths": lambda numbers: tuple([path_at(number) for number in numbers]),
    }
    found: dict[str, Any] = {}
    for name, stored in document["fields"].items():
        if name in ROWS:
            columns = {field: _read(column, readers) for field, column in stored.items()}
            names = tuple(each.name for each in fields(ROWS[name]))
            found[name] = tuple(map(ROWS[name], *(columns[each] for each in names))) if columns else ()
        else:
            found[name] = tuple(_read(stored, readers))
    return model.Resolution(**given, **found)


class _Texts:
    """Numbers for texts, in the order in which they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        """The same for the same text."""
        return self.numbers.setdefault(text, len(self.numbers))


def _columns(kind: type[Any], values: Sequence[Any], texts: _Texts) -> dict[str, Any]:
    if not values:
        return {}
    return {
        each.name: _column([getattr(value, each.name) for value in values], texts) for each in fields(kind)
    }


def _column(values: list[Any], texts: _Texts) -> list[Any]:
    """Return how the values are written, and the values; None is None in every kind."""
    kinds = {_kind(value) for value in values if value is not None and value != ()}
    kind = kinds.pop() if kinds else "texts"
    if kinds:
        raise CannotKeepError
    writers: dict[str, Callable[[Any], Any]] = {
        "as-is": lambda value: value,
        "text": texts.number,
        "path": lambda value: texts.number(str(value)),
        "bytes": lambda value: base64.b64encode(value).decode("ascii"),
        "texts": lambda value: [texts.number(each) for each in value],
        "paths": lambda value: [texts.number(str(each)) for each in value],
    }
    write = writers[kind]
    return [kind, None in values, [None if value is None else write(value) for value in values]]


def _kind(value: Any) -> str:
    match value:
        case str():
            return "text"
        case bool() | int():
            return "as-is"
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


def _read(column: list[Any], readers: dict[str, Callable[[Any], Any]]) -> list[Any]:
    kind, has_none, values = column
    read = readers[kind]
    if kind == "as-is":
        return list(values)
    if has_none:
        return [None if value is None else read(value) for value in values]
    return list(map(read, values))
