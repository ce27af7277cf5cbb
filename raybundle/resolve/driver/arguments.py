"""Says what of the project the arguments and variables of a job name: files, directories and modules."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_WRITES = re.compile(
    r"-{0,2}(?:[\w.]+[-_.])?(?:out|output|log|logs|logging|save|result|results|export)(?:[-_=]|\Z)"
)
"""An option, or the start of `key=value`, that says where the job writes."""
_LONGEST = 250
"""Characters of a path that an argument names."""
_LONGEST_LIST = 10_000
"""Characters of an argument that may list files."""
_LONGEST_FILE = 64 * 1024
"""Bytes of a file of arguments."""
_BETWEEN_PATHS = re.compile(r"[,;:=\[\](){}'\"]")
_OF_PROGRAMS = frozenset({"PATH", "PYTHONPATH", "LD_LIBRARY_PATH"})
"""Variables of directories of code and programs."""
_OF_DIRECTORIES = re.compile(r"(?:DIR|HOME|PATH|DATA|ROOT|FOLDER|DIRECTORY)S?\Z")
"""Ends the name of a variable whose value is a directory."""
_REFERENCE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?::[A-Za-z_][\w.]*)?")
"""`pkg.mod`, `pkg.mod:attr`, `pkg.mod.Class`; or a single word."""
_AROUND_REFERENCES = re.compile(r"[\s,;=\[\](){}'\"]|://")
_OF_MODULES = re.compile(
    r"(?i)(?:.*[-_.])?(?:module|package|plugin|extension|import|app|settings)s?(?:[-_]name)?[ =]"
)
"""An option, or the start of `key=value`, whose value is a module, even if it is a single word."""


def named_by(
    words: Iterable[str], project: Path, cwd: Path, variables: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Returns what of the project the arguments of a job name, absolute: `conf/a.yaml`, `--data=d.csv`.

    What they name from `cwd` on counts too if the project is below it. What an option names that says where
    to write (`--output-dir runs`) is none: it is not read. The words in a file of arguments (`@args.txt`)
    count as well, and so do the values of the job's variables; a directory only if the variable is one of
    directories (`DATA_DIR`). A directory into which the job writes ends with a `/`.
    """
    project, found, before = project.resolve(), dict[str, None](), ""
    bases = (cwd.resolve(), project)
    given = [(each, True) for word in _with_files(words, bases) for each in ([*_values_in(word)] or [word])]
    given += [
        (f"{name.lower()}={value}", _OF_DIRECTORIES.search(name) is not None)
        for name, value in sorted((variables or {}).items())
        if name not in _OF_PROGRAMS
    ]
    for word, wide in given:
        option = word if "=" in word else before
        before = word
        for text in _paths_in(word):
            near = {os.path.normpath(base / text): f"{base}/" for base in bases}
            own = f"{project}/"
            paths = [
                path
                for path, base in near.items()
                if path.startswith(own) or (path.startswith(base) and not text.startswith("/"))
            ]
            path = next(filter(os.path.lexists, paths), None)
            writes = _WRITES.match(option) is not None
            if writes or path is None:
                found.update(dict.fromkeys(_written_into(paths, bases, empty=not writes)))
            elif wide or Path(path).is_file():
                found[path] = None
    return tuple(found)


def _written_into(paths: Iterable[str], bases: tuple[Path, ...], *, empty: bool) -> Iterator[str]:
    """Yields the first directory that one of some paths is or lies in, with a `/`; only an `empty` one."""
    folders = (folder for path in map(Path, paths) for folder in (path, path.parent))
    found = next((each for each in folders if each not in bases and each.is_dir()), None)
    if found and not (empty and _has_files(found)):
        yield f"{found}/"


def _has_files(folder: Path) -> bool:
    try:
        return any(not each.name.startswith(".") for each in folder.iterdir())
    except OSError:  # whoever reads it is told
        return True


def modules_named_by(
    words: Iterable[str], project: Path, cwd: Path, variables: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Returns what in the arguments and variables of a job may name a module: `pkg.mod`, `pkg.mod:attr`.

    A single word only if its option or variable is one of modules (`--module`, `DJANGO_SETTINGS_MODULE`).
    """
    found, before = dict[str, None](), ""
    given = [*_with_files(words, (cwd.resolve(), project.resolve()))]
    given += [
        f"{name}={value}" for name, value in sorted((variables or {}).items()) if name not in _OF_PROGRAMS
    ]
    for word in given if sum(map(len, given)) < _LONGEST_LIST else ():
        text = word if "=" in word else f"{before} {word}"
        before = word
        listed = _OF_MODULES.match(text) is not None or "module://" in word
        value = text[text.index("=" if "=" in word else " ") + 1 :]
        for part in _AROUND_REFERENCES.split(value):
            if _REFERENCE.fullmatch(part) and part.isascii() and (listed or "." in part or ":" in part):
                found[part] = None
    return tuple(found)


def _with_files(words: Iterable[str], bases: tuple[Path, ...]) -> Iterator[str]:
    """Yields words, and those in files that they name as `@file` (argparse, Java, compilers)."""
    for word in words:
        yield word
        files = (base / word[1:] for base in bases if word.startswith("@") and "\0" not in word)
        file = next((each for each in files if each.is_file()), None)
        if file is not None and file.stat().st_size <= _LONGEST_FILE:
            yield from file.read_text("utf-8", "replace").split()


def _values_in(word: str) -> Iterator[str]:
    """Yields `key=value` for each text in a word, or the value of an option, that is JSON."""
    text = word if word[:1] in {"{", "["} else word.partition("=")[2]
    if text[:1] in {"{", "["}:
        with suppress(ValueError, RecursionError):
            yield from _texts_of(json.loads(text))


def _texts_of(value: object, key: str = "") -> Iterator[str]:
    match value:
        case str():
            yield f"{key}={value}"
        case list():
            for each in value:
                yield from _texts_of(each, key)
        case dict():
            for name, each in value.items():
                yield from _texts_of(each, name)
        case _:
            return


def _paths_in(word: str) -> Iterator[str]:
    """Yields what in a word may be a path: the word, the value of an option, the items of a list."""
    whole = (word.removeprefix("@"), word.partition("=")[2])
    parts = _BETWEEN_PATHS.split(word) if len(word) < _LONGEST_LIST else []
    for text in dict.fromkeys((*whole, *(each for each in parts if "/" in each or "." in each))):
        if text.strip("./") and len(text) < _LONGEST and "\0" not in text:
            yield text
