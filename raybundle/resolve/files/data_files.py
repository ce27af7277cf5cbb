"""Finds the files that travel without being modules: data of reached packages, and what `include` names."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH113, PTH116, PTH118, PTH120

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from os.path import join
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import RefusedFileError, UsageError
from raybundle.model import FunctionTarget, Warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from raybundle.model import Target
    from raybundle.resolve.find.directories import Directories

SIZE_LIMIT = 10 * 1024 * 1024
"""Bytes; a larger file in a package travels only if `include` names it."""

_OF_GIT = f"{os.sep}.git{os.sep}"
_CODE = (".py", ".pyc", ".pyo")
_EXTENSION = re.compile(r"\.(?:cpython-|pypy|graalpy|abi3)[^.]*\.so\Z|\.pyd\Z")
"""Extension modules travel where they are imported; a plain `.so` may be a library that `ctypes` loads."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that would travel, and why."""

    file: str
    entry: str
    """The entry of the path that its package was found under; the project for an included one."""
    reason: str
    content: bytes | None = None
    """What travels in place of the bytes of `file`, which then need not be there."""
    of_package: bool = False
    """Travels because its package is reached, not by `include`."""
    named: bool = False
    """Travels because a path names it."""


def called(target: Target) -> list[Candidate]:
    """Returns the pickle that the script of a function reads."""
    if not isinstance(target, FunctionTarget):
        return []
    file = str(target.script.with_suffix(".pickle"))
    return [Candidate(file, str(target.script.parent), "the pickled call", target.call)]


def package_data(
    package: str, directory: str, entry: str, directories: Directories, *, is_namespace: bool = False
) -> Iterator[Candidate]:
    """Yields the non-Python files of a package, also in subdirectories that are no packages.

    A folder without `__init__` is a package by itself where it holds Python: of a namespace package such
    folders are not part.
    """
    yield from _data_below(_Folder(package, entry, directories), directory, (), is_namespace)


@dataclass(frozen=True, slots=True)
class _Folder:
    """The package whose data is looked for."""

    package: str
    entry: str
    directories: Directories


def _data_below(
    folder: _Folder, directory: str, left_by_links: tuple[str, ...], is_namespace: bool
) -> Iterator[Candidate]:
    listing = folder.directories.list(directory)
    for name in sorted(listing.files):
        if not is_code(name):
            reason = f"data of package {folder.package}"
            yield Candidate(join(directory, name), folder.entry, reason, of_package=True)
    for name in sorted(listing.directories):
        inside = join(directory, name)
        if name.startswith(".") or name == "__pycache__":
            continue
        if _is_package(inside, folder.directories, is_namespace):
            continue
        links = left_by_links
        if name in listing.links:
            links = (*left_by_links, os.path.realpath(directory))
            if leads_back(inside, links):
                continue
        yield from _data_below(folder, inside, links, is_namespace)


def is_code(file: str) -> bool:
    """Returns whether a file is a module, which travels where it is imported."""
    return file.endswith(_CODE) or is_extension(file)


def is_extension(file: str) -> bool:
    """Returns whether a file is an extension module by its name."""
    return _EXTENSION.search(file) is not None


def leads_back(link: str, left_by_links: Iterable[str]) -> bool:
    """Returns whether `link` leads to a directory that was left by a link to come here, or above it."""
    target = os.path.join(os.path.realpath(link), "")
    return any(os.path.join(directory, "").startswith(target) for directory in left_by_links)


def _is_package(directory: str, directories: Directories, or_namespace: bool) -> bool:
    files = directories.list(directory).files
    return "__init__.py" in files or (or_namespace and any(name.endswith(".py") for name in files))


def included(project: Path, patterns: Iterable[str]) -> tuple[list[Candidate], list[Warning]]:
    """Returns the files that `patterns` name; a directory means everything below it.

    Raises:
        UsageError: a pattern leads out of the project.
    """
    candidates, warnings = [], []
    for pattern in patterns:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise UsageError(
                f"`{pattern}` in `include` leads out of the project", hint=f"write it relative to {project}"
            )
        files = sorted(_files_of(project, pattern))
        candidates += [Candidate(file, str(project), f"include {pattern}") for file in files]
        if not files:
            warnings.append(_nothing(pattern, project))
    return candidates, warnings


def _nothing(pattern: str, project: Path) -> Warning:
    """Returns the warning about an entry of `include` that matches nothing; it may mean a distribution."""
    text, hint = f"`{pattern}` in `include` matches no file", f"write it relative to {project}"
    if "/" in pattern or "*" in pattern:
        return Warning(text, None, None, hint)
    return Warning(
        f"{text} and no installed distribution",
        None,
        None,
        f"{hint}; a distribution by its name alone, without version and extras, and install it here",
    )


def _files_of(project: Path, pattern: str) -> Iterator[str]:
    for match in _matches(project, pattern):
        if match.is_file():
            yield str(match)
        elif match.is_dir():
            yield from _files_below(str(match), ())


def _matches(project: Path, pattern: str) -> Iterable[Path]:
    named = project / pattern
    if named == project:
        raise UsageError(
            f"`{pattern}` in `include` is the whole project", hint="name files or folders, such as `data`"
        )
    if named.exists():
        return [named]  # also where its name looks like a pattern
    try:
        return list(project.glob(pattern))
    except (ValueError, IndexError, NotImplementedError) as error:
        raise UsageError(
            f"`{pattern}` in `include` is no pattern: {error}", hint="write it like `data/*.csv` or `data/**`"
        ) from error


def _files_below(directory: str, left_by_links: tuple[str, ...]) -> Iterator[str]:
    """Yields the files under `directory`; links are followed as the job would, but never back."""
    try:
        with os.scandir(directory) as entries:
            found = sorted(entries, key=lambda each: each.name)
    except OSError as error:
        raise RefusedFileError(
            f"{directory} is in `include` and cannot be read: {error.strerror}", hint="make it readable"
        ) from error
    for each in found:
        if each.is_file():
            if not each.name.endswith(".pyc"):
                yield each.path
        elif each.is_dir():
            links = (*left_by_links, os.path.realpath(directory)) if each.is_symlink() else left_by_links
            if not each.is_symlink() or not leads_back(each.path, links):
                yield from _files_below(each.path, links)


def without_excluded(
    candidates: Iterable[Candidate], project: Path, patterns: Iterable[str]
) -> list[Candidate]:
    """Returns the candidates that no pattern (relative to the project, else to the entry) drops."""
    expressions = [path_expression(pattern) for pattern in patterns]
    return [each for each in candidates if not _is_excluded(each, project, expressions)]


def _is_excluded(candidate: Candidate, project: Path, expressions: list[re.Pattern[str]]) -> bool:
    base = str(project) if candidate.file.startswith(f"{project}/") else candidate.entry
    relative = os.path.relpath(candidate.file, base) if expressions else ""
    return any(expression.match(relative) for expression in expressions)


@lru_cache
def path_expression(pattern: str) -> re.Pattern[str]:
    """Returns a pattern compiled: `**/` spans directories, `*` and `[a-z]` do not; a folder is all below."""
    plain = pattern.removeprefix("./").strip("/")
    parts = re.findall(r"\*\*/|\*\*|\*|\?|\[!?[^/\]]+\]|\[|[^*?\[]+", plain)
    translated = "".join(_translated(part) for part in parts)
    return re.compile(f"(?:{translated}|{re.escape(plain)})" + r"(?:/.*)?\Z", re.DOTALL)


def _translated(part: str) -> str:
    if part.startswith("[") and len(part) > 1:
        negated = part[1] == "!"
        inner = re.sub(r"([\\^\[])", r"\\\1", part[1 + negated : -1])
        return f"[^/{inner}]" if negated else f"[{inner}]"
    return {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part, re.escape(part))


def within_limit(candidates: Iterable[Candidate]) -> tuple[list[Candidate], list[Warning]]:
    """Leaves out package data that is too large or cannot be read, with a warning for each."""
    kept, warnings = [], []
    for each in candidates:
        fault = _fault(each)
        if fault is None:
            kept.append(each)
        else:
            hint = _HINT_UNREAD if fault == UNREAD else _HINT
            warnings.append(Warning(f"{each.file} is left out: {fault}", Path(each.file), None, hint))
    return kept, warnings


UNREAD = "it cannot be read"
"""The fault of a file that this user may not read."""
_HINT = "name it in `include` of [tool.raybundle] if the job needs it, in `exclude` if it does not"
_HINT_UNREAD = "make it readable if the job needs it, or name it in `exclude` of [tool.raybundle]"


def _fault(candidate: Candidate) -> str | None:
    return None if candidate.reason.startswith("include ") else fault_of(candidate.file)


def fault_of(file: str, limit: int | None = SIZE_LIMIT) -> str | None:
    """Returns why a file that nothing includes by name cannot travel; `limit` is in bytes."""
    size = os.stat(file).st_size
    if limit is not None and size > limit:
        return f"{size:,} bytes, more than data may have ({limit:,})"
    readable = os.access(file, os.R_OK, effective_ids=os.access in os.supports_effective_ids)
    return None if readable else UNREAD


def refuse_escaping_links(
    files: Iterable[str], allowed: Iterable[str], directories: Directories, project: Path
) -> None:
    """Refuses files that symbolic links take out of every allowed directory, or into git's own records.

    Raises:
        RefusedFileError: lists all of them.
    """
    allowed = [f"{directory.rstrip('/')}/" for directory in allowed]
    escaping, roots = [], set()
    for file in sorted(set(files)):
        real = leads_out(file, allowed, directories)
        if real is not None:
            escaping.append(f"{file} -> {real}")
            roots |= set() if _OF_GIT in real else {f"`{os.path.relpath(_root_of(real), project)}`"}
    if escaping:
        others = f", or add {' and '.join(sorted(roots))} to `roots` in [tool.raybundle]" if roots else ""
        raise RefusedFileError(
            "symbolic links lead out of the project, its repository and every root: " + ", ".join(escaping),
            hint=f"copy the file{others}",
        )


def leads_out(file: str, allowed: Sequence[str], directories: Directories) -> str | None:
    """Returns where a link takes `file` if that is git's own or in none of `allowed`, which end with `/`."""
    if not _is_linked(file, allowed, directories):
        return None
    real = os.path.realpath(file)
    return real if _OF_GIT in real or not real.startswith(tuple(allowed)) else None


def _root_of(file: str) -> str:
    """Returns the directory that holds `file`, or the package that it is in."""
    directory = os.path.dirname(file)
    while os.path.isfile(join(directory, "__init__.py")):
        directory = os.path.dirname(directory)
    return directory


def _is_linked(file: str, allowed: Sequence[str], directories: Directories) -> bool:
    """Uses the listings that are already there: a file behind no link costs no system call."""
    directory, name = os.path.split(file)
    while name and f"{directory}/{name}/" not in allowed:
        if name in directories.list(directory).links:
            return True
        directory, name = os.path.split(directory)
    return False
