"""Maps imported third-party modules to installed distributions by RECORD, closed over what those require."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH112, PTH116, PTH208

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.graph.cache import YOUNG
from raybundle.graph.conditions import environment_of
from raybundle.model import Distribution, ModuleName

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from raybundle.graph.cache import ScanCache
    from raybundle.model import Interpreter

_RAY_EXTRAS = {f"ray.{name}": name for name in ("data", "train", "tune", "serve", "rllib")}
"""Parts of Ray that need distributions which Ray itself does not require."""

_ANSWERS_KEPT = 32
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class Needed:
    """The distributions that the imports of a bundle need."""

    distributions: tuple[Distribution, ...]
    unowned: tuple[str, ...]
    """Imported names whose files no installed distribution lists."""


def find_distributions(third_party: Mapping[str, str], interpreter: Interpreter, cache: ScanCache) -> Needed:
    """Return what owns the files of `third_party` (imported name: file) and everything that requires.

    The answer is kept until a site-packages directory changes, so that a warm one reads no metadata.
    """
    if not third_party:
        return Needed((), ())
    stamps = [_stamp(site) for site in interpreter.site if os.path.isdir(site)]
    question = _question(third_party, interpreter, stamps)
    answers = cache.read("distributions")
    known = answers.get(question)
    if isinstance(known, list):
        return _needed(known)
    answer = _Installed(interpreter).answer(third_party)
    if time.time_ns() - max((changed for _, _, _, changed in stamps), default=0) > YOUNG:
        kept = dict(list(answers.items())[-_ANSWERS_KEPT:])
        cache.write("distributions", {**kept, question: answer})
    return _needed(answer)


def _stamp(site: str) -> tuple[str, int, int, int]:
    """What changes with each installation, also where its tool sets the times back: `st_ctime_ns`, last."""
    status = os.stat(site)
    return (site, status.st_ino, status.st_mtime_ns, status.st_ctime_ns)


def _question(
    third_party: Mapping[str, str], interpreter: Interpreter, stamps: list[tuple[str, int, int, int]]
) -> str:
    target = [interpreter.version, interpreter.platform, interpreter.implementation]
    text = json.dumps([_FORMAT, stamps, target, sorted(third_party.items())])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _needed(answer: list[Any]) -> Needed:
    rows, unowned = answer
    return Needed(
        tuple(
            Distribution(name, version, provided_by, size, tuple(map(ModuleName, modules)))
            for name, version, provided_by, size, modules in rows
        ),
        tuple(unowned),
    )


def required_by(distributions: Iterable[Distribution], interpreter: Interpreter) -> dict[str, str]:
    """Return which of `distributions` each one is needed for that first-party code does not import itself.

    Following it leads to one that is imported. It reads the metadata of all of them.
    """
    imported = [each for each in distributions if each.modules]
    installed = _Installed(interpreter)
    extras = _ray_extras({name: "" for each in imported for name in each.modules})
    queue = [*((each.name, "") for each in imported), *(("ray", extra) for extra in sorted(extras))]
    needed_for = {name: "" for name, _ in queue}
    seen = set()
    for name, extra in queue:  # it grows
        if (name, extra) not in seen and name in installed.by_name:
            seen.add((name, extra))
            for requirement, inner in installed.required(name, extra):
                needed_for.setdefault(requirement, name)
                queue.append((requirement, inner))
    return {name: by for name, by in needed_for.items() if by}


@dataclass(slots=True)
class _Metadata:
    """One `.dist-info` directory; its files are read when asked for."""

    directory: Path
    name: str
    version: str
    _record: bytes | None = None

    @property
    def record(self) -> bytes:
        """RECORD (PEP 376), with a line break before its first line too."""
        if self._record is None:
            try:
                self._record = b"\n" + (self.directory / "RECORD").read_bytes()
            except OSError:
                self._record = b""
        return self._record

    def owns(self, relative: str) -> bool:
        """Return whether RECORD lists the file; names with a comma are quoted there."""
        quoted = f'\n"{relative}",' if "," in relative else f"\n{relative},"
        return quoted.encode() in self.record

    def lists(self, relative: str) -> bool:
        """Return the same as `owns` for a RECORD in another spelling: all quoted, `./` or backslashes."""
        import csv  # noqa: PLC0415 - start-up: such a RECORD is rare

        rows = csv.reader(self.record.decode("utf-8", "replace").splitlines())
        return any(row and posixpath.normpath(row[0].replace("\\", "/")) == relative for row in rows)

    def size(self) -> int:
        """Return the bytes of the installed files as RECORD has them."""
        sizes = (line.rpartition(b",")[2].strip(b' "') for line in self.record.splitlines())
        return sum(int(size) for size in sizes if size.isdigit())

    def requires(self) -> Iterator[str]:
        """Yield the Requires-Dist lines of METADATA's header."""
        try:
            text = (self.directory / "METADATA").read_text("utf-8", "replace")
        except OSError:
            return
        header = re.sub(r"\n[ \t]+", " ", text.partition("\n\n")[0])
        for line in header.splitlines():
            field_name, _, value = line.partition(":")
            if field_name.lower() == "requires-dist":
                yield value.strip()


@dataclass(slots=True)
class _Installed:
    """What is installed in the site-packages directories of one interpreter."""

    interpreter: Interpreter
    by_name: dict[str, _Metadata] = field(default_factory=dict)
    by_site: dict[str, list[_Metadata]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for site in self.interpreter.site:
            self.by_site[site] = list(_distributions_in(site))
            for each in self.by_site[site]:
                self.by_name.setdefault(each.name, each)

    def answer(self, third_party: Mapping[str, str]) -> list[Any]:
        """Return rows for `Distribution` and the names that nothing owns, as JSON has them."""
        modules: dict[str, list[str]] = {}
        unowned = []
        for module, file in sorted(third_party.items()):
            owner = self._owner(file)
            if owner is None:
                unowned.append(module)
            else:
                modules.setdefault(owner, []).append(module)
        needed = self._closed((name, "") for name in modules)
        needed |= self._closed(("ray", extra) for extra in _ray_extras(third_party))
        by_ray = self._closed([("ray", ""), ("ray", "default")])
        return [[self._row(name, name in by_ray, modules.get(name, [])) for name in sorted(needed)], unowned]

    def _row(self, name: str, by_ray: bool, modules: list[str]) -> list[Any]:
        found = self.by_name[name]
        return [name, found.version, "ray" if by_ray else "cluster", found.size(), modules]

    def _owner(self, file: str) -> str | None:
        for site, distributions in self.by_site.items():
            if file.startswith(site + os.sep):
                relative = file[len(site) + 1 :].replace(os.sep, "/")
                likely = normalised_name(relative.partition("/")[0].partition(".")[0])
                ordered = sorted(distributions, key=lambda each: each.name != likely)
                return _first(ordered, relative, _Metadata.owns) or _first(ordered, relative, _Metadata.lists)
        return None

    def _closed(self, wanted: Iterable[tuple[str, str]]) -> set[str]:
        """Return the installed ones among `wanted` (name and extra) and all that they require."""
        seen: set[tuple[str, str]] = set()
        queue = list(wanted)
        while queue:
            name, extra = queue.pop()
            if (name, extra) not in seen and name in self.by_name:
                seen.add((name, extra))
                queue += self.required(name, extra)
        return {name for name, _ in seen}

    def required(self, name: str, extra: str) -> Iterator[tuple[str, str]]:
        """Yield the names and extras that an installed distribution requires with `extra`."""
        from packaging.requirements import (  # noqa: PLC0415 - 30 ms, and only where nothing is cached
            InvalidRequirement,
            Requirement,
        )

        environment = {**_marker_environment(self.interpreter), "extra": extra}
        for line in self.by_name[name].requires():
            try:
                requirement = Requirement(line)
            except InvalidRequirement:
                continue  # an old distribution's private syntax
            if requirement.marker is None or requirement.marker.evaluate(environment):
                yield from ((normalised_name(requirement.name), each) for each in ("", *requirement.extras))


def _first(
    distributions: Iterable[_Metadata], relative: str, owns: Callable[[_Metadata, str], bool]
) -> str | None:
    return next((each.name for each in distributions if owns(each, relative)), None)


def _ray_extras(third_party: Mapping[str, str]) -> set[str]:
    return {
        extra
        for part, extra in _RAY_EXTRAS.items()
        for name in third_party
        if name == part or name.startswith(f"{part}.")
    }


def _distributions_in(site: str) -> Iterator[_Metadata]:
    for name in sorted(os.listdir(site)):
        if name.endswith(".dist-info"):
            project, _, version = name.removesuffix(".dist-info").rpartition("-")
            yield _Metadata(Path(site, name), normalised_name(project), version)


def normalised_name(name: str) -> str:
    """Return the name of a distribution as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _marker_environment(interpreter: Interpreter) -> dict[str, str]:
    """Return the variables of PEP 508 markers for the target."""
    target = environment_of(interpreter)
    full = ".".join(map(str, target.version))
    return {
        "implementation_name": target.implementation,
        "implementation_version": full,
        "os_name": target.os_name,
        "platform_machine": target.machine,
        "platform_python_implementation": {"cpython": "CPython", "pypy": "PyPy"}.get(
            target.implementation, target.implementation
        ),
        "platform_release": "",
        "platform_system": target.system,
        "platform_version": "",
        "python_full_version": full,
        "python_version": ".".join(map(str, target.version[:2])),
        "sys_platform": target.sys_platform,
    }
