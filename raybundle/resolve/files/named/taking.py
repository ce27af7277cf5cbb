"""Takes the files that a path means: a file, the data of a directory, what has the form of a pattern."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH116, PTH119, PTH120

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import NAMED, Warning
from raybundle.node.scratch.raybundle_fill import EMPTY
from raybundle.resolve.facts import EVERYTHING
from raybundle.resolve.files.data_files import (
    SIZE_LIMIT,
    UNREAD,
    Candidate,
    fault_of,
    is_code,
    is_extension,
    leads_back,
    leads_out,
    path_expression,
    without_excluded,
)
from raybundle.resolve.files.secret_names import is_public_pem, secret_fault

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.resolve.files.named.ground import Ground

MOST_FILES, MOST_BYTES = 1000, 100 * 1024 * 1024
"""Of a directory that is named: more than that travels only by `include`."""
MOST_SEEN = 20_000
"""Files of a directory that are compared with a pattern."""
_WILD = re.compile(r"[*?\[]")
_ANYTHING = frozenset({"*", "**", "**/*"})
"""Forms of a name that only the running program knows. Beside code, they mean nothing."""
_NEVER = frozenset({"__pycache__", "node_modules"})
_HISTORY = re.compile(r"/\.(?:git|hg|svn)(?:/|\Z)")


@dataclass(frozen=True, slots=True)
class Origin:
    """What names a path."""

    text: str
    file: Path | None
    line: int | None

    @property
    def reason(self) -> str:
        """Why a file travels."""
        return f"{self.text}{NAMED}"

    @property
    def otherwise(self) -> str:
        """What to do if the job does not read the file."""
        in_source = self.file is not None and self.file.suffix == ".py"
        return "`# raybundle: ignore`" if in_source else "`exclude` it"


@dataclass(slots=True)
class Taking:
    """What was taken, and what is said of the rest."""

    ground: Ground
    modules: dict[str, str]
    """Entry of the path, by file."""
    code: frozenset[str]
    entered: tuple[str, ...]
    """Directories that the job may change to."""
    found: dict[str, Candidate] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    scripts: dict[str, Candidate] = field(default_factory=dict)
    kept: dict[str, tuple[str, Origin]] = field(default_factory=dict)
    """Directories that the job must find, even if nothing travels in them; entry and origin of each."""

    def take(self, path: str, entry: str, origin: Origin, *, wide: bool) -> bool:
        """Takes the files that `path` means; returns whether there is something."""
        kind = self.kind(path, entry)
        if kind == "file" and (path.endswith(".py") or is_extension(path)):
            self._add_script(path, entry, origin)
        elif kind == "file":
            self.add([path], entry, origin)
        elif kind == "directory" and wide:
            self._directory(path, "", entry, origin)
        elif kind == "directory":
            self._keep_if_empty(path, entry, origin)
        elif kind is None and _WILD.search(path[len(entry) :]):
            self._pattern(path, entry, origin, wide=wide)
        elif kind is None:
            self._keep_if_empty(os.path.dirname(path), entry, origin)
        return kind is not None

    def keep(self, directory: str, entry: str, origin: Origin) -> bool:
        """Notes a directory that a path leads to; returns whether it is there."""
        is_there = directory.startswith(f"{entry}/") and self.kind(directory, entry) == "directory"
        if is_there and not self._is_code(directory):
            self.kept.setdefault(directory, (entry, origin))
        return is_there

    def _keep_if_empty(self, directory: str, entry: str, origin: Origin) -> None:
        """Notes a directory in which nothing is: a job writes into it."""
        if directory.startswith(f"{entry}/") and self.kind(directory, entry) == "directory":
            listing = self.ground.directories.list(directory)
            if all(name.startswith(".") for name in (*listing.files, *listing.directories)):
                self.keep(directory, entry, origin)

    def keep_empty(self) -> None:
        """Takes an empty file into each directory in which nothing travels: an archive has no directories."""
        full = {above for file in self.found for above in parents_of(file)}
        for directory, (entry, origin) in sorted(self.kept.items(), reverse=True):  # the deepest first
            if directory not in full:
                file = f"{directory}/{EMPTY}"
                self.found[file] = Candidate(file, entry, f"keeps a directory {origin.text}", b"", named=True)
                full.update(parents_of(file))

    def kind(self, path: str, entry: str) -> str | None:
        """Returns what is at `path`, by listings from `entry` on: what is not there costs no system call."""
        if path == entry:
            return "directory"
        directory, name = os.path.split(path)
        if directory not in self.ground.directories.known and self.kind(directory, entry) != "directory":
            return None
        listing = self.ground.directories.list(directory)
        return "file" if name in listing.files else "directory" if name in listing.directories else None

    def _pattern(self, path: str, entry: str, origin: Origin, *, wide: bool) -> None:
        base, pattern = _split(path[len(entry) + 1 :])
        base = f"{entry}/{base}".rstrip("/")
        if self.kind(base, entry) == "directory" and (wide or base != entry):
            whole = pattern in _ANYTHING or (pattern in EVERYTHING and not self._is_code(base))
            self._directory(base, "" if whole else pattern, entry, origin)

    def _directory(self, directory: str, pattern: str, entry: str, origin: Origin) -> None:
        """Takes the data below `directory`, or what of it has the form `pattern`; none of code and of git."""
        deep, sources = not pattern or "**" in pattern, pattern.endswith(".py")
        if not pattern and self._is_code(directory):
            return
        if _HISTORY.search(directory, len(entry)) or self.kind(f"{directory}/pyvenv.cfg", entry):
            return
        expression = path_expression(pattern) if pattern else None
        files, size = [], 0
        folders = None if pattern in EVERYTHING else expression
        below = self._below(directory, deep=deep or "/" in pattern, code=bool(pattern), folders=folders)
        for number, file in enumerate(below):
            matches = expression is None or _has_form(expression, file[len(directory) + 1 :])
            if matches and sources and os.path.basename(file) not in {"setup.py", "noxfile.py"}:
                self._add_script(file, entry, origin)
            elif matches and self.counts(file, entry):
                files.append(file)
                size += os.stat(file).st_size
            if len(files) > MOST_FILES or size > MOST_BYTES or number > MOST_SEEN:
                self.asked += files
                self._warn_of_directory(directory, origin)
                return
        self.add(files, entry, origin)
        self._keep_if_empty(directory, entry, origin)

    def _is_code(self, directory: str) -> bool:
        return directory in self.code or directory in self.ground.path

    def _below(
        self,
        directory: str,
        left_by_links: tuple[str, ...] = (),
        *,
        deep: bool,
        code: bool,
        folders: re.Pattern[str] | None = None,
    ) -> Iterator[str]:
        """Yields the files below a directory, and in folders of code if they count.

        If it is not `deep`, only those in `folders` of that form.
        """
        listing = self.ground.directories.list(directory)
        yield from (f"{directory}/{name}" for name in sorted(listing.files) if not name.startswith("."))
        for name in sorted(listing.directories) if deep or folders else ():
            if not (deep or (folders and folders.match(name))):
                continue
            inside = f"{directory}/{name}"
            if name.startswith(".") or name in _NEVER or (inside in self.code and not code):
                continue
            links = left_by_links
            if name in listing.links:
                links = (*left_by_links, os.path.realpath(directory))
                if leads_back(inside, links):
                    continue
            yield from self._below(inside, links, deep=True, code=code)

    def add(self, files: Iterable[str], entry: str, origin: Origin) -> None:
        """Takes files that count and can travel."""
        for file in files:
            if file in self.found or not self.counts(file, entry):
                continue
            fault = self.fault(file, entry)
            if fault is None:
                self.found[file] = Candidate(file, entry, origin.reason, named=True)
            elif file not in self.asked:
                self.asked.append(file)
                self.warn(file, *fault, origin)

    def _add_script(self, file: str, entry: str, origin: Origin) -> None:
        """Takes a Python file that is not a module of the job already."""
        script = Candidate(file, entry, origin.reason, named=True)
        kept = without_excluded([script], Path(self.ground.project), self.ground.exclude)
        if kept and file not in self.modules and file not in self.ground.included:
            self.scripts[file] = script

    def counts(self, file: str, entry: str) -> bool:
        """Returns whether a file is data, and that the settings do not decide about it."""
        if file in self.modules or file in self.ground.included or is_code(file):
            return False
        candidate = Candidate(file, entry, "")
        return bool(without_excluded([candidate], Path(self.ground.project), self.ground.exclude))

    def fault(self, file: str, entry: str, limit: int | None = SIZE_LIMIT) -> tuple[str, str] | None:
        """Returns why a file cannot travel, and what to do."""
        if (fault := secret_fault(file[len(entry) + 1 :])) and not _is_public(file):
            return fault
        real = leads_out(file, self.ground.allowed, self.ground.directories)
        if real is not None:
            root = os.path.relpath(os.path.dirname(real), self.ground.project)
            hint = f"copy the file, or add `{root}` to `roots` in [tool.raybundle]; else"
            return f"a symbolic link leads to {real}", hint
        text = fault_of(file, limit)
        if text is None:
            return None
        if text == UNREAD:
            return text, "make the file readable; else"
        return text, f'`include = ["{self.shown(file)}"]` in [tool.raybundle] bundles it; else'

    def warn(self, file: str, fault: str, hint: str, origin: Origin) -> None:
        """Warns of a file that is left out."""
        text = f"{self.shown(file)} is left out: {fault}"
        self.warnings.append(Warning(text, origin.file, origin.line, f"{hint} {origin.otherwise}"))

    def _warn_of_directory(self, directory: str, origin: Origin) -> None:
        shown = self.shown(directory)
        text = f"{shown} is left out: it has more than {MOST_FILES:,} files or {MOST_BYTES:,} bytes"
        hint = f'`include = ["{shown}"]` in [tool.raybundle] bundles it; else {origin.otherwise}'
        if all(each.text != text for each in self.warnings):
            self.warnings.append(Warning(text, origin.file, origin.line, hint))

    def shown(self, path: str) -> str:
        """Returns a path as messages have it."""
        return path.removeprefix(f"{self.ground.project}/")


def _has_form(expression: re.Pattern[str], path: str) -> bool:
    """Returns whether a path, or a directory above it, has the form of a pattern."""
    parts = path.split("/")
    return any(expression.match("/".join(parts[:number])) for number in range(len(parts), 0, -1))


def _is_public(file: str) -> bool:
    """Returns whether a file of keys has public ones only, such as the certificates of an authority."""
    if not file.lower().endswith(".pem"):
        return False
    with suppress(OSError):
        return os.stat(file).st_size <= SIZE_LIMIT and is_public_pem(Path(file).read_bytes())
    return False


def parents_of(file: str) -> Iterator[str]:
    """Yields the directories above a file."""
    directory = os.path.dirname(file)
    while directory not in {"", "/"}:
        yield directory
        directory = os.path.dirname(directory)


def _split(path: str) -> tuple[str, str]:
    """Returns the directory before the first part of a path that is not known, and the rest."""
    parts = path.split("/")
    number = next(number for number, part in enumerate(parts) if _WILD.search(part))
    return "/".join(parts[:number]), "/".join(parts[number:])
