"""Reads and writes the lock file of traced runs: canonical, with nothing of the machine it was made on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import write_atomically
from raybundle.errors import UNREADABLE, UsageError
from raybundle.exhaustive import assert_never
from raybundle.model import (
    ConsoleScriptTarget,
    DirectoryTarget,
    FunctionTarget,
    ModuleTarget,
    NotebookTarget,
    ScriptTarget,
    Warning,
)
from raybundle.resolve.traced import DRIVER, LOCK, Traced, TracedDistribution, TracedFile, TracedModule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from raybundle.model import Interpreter, Module, Resolution, Target

FORMAT = 1

Entry = dict[str, Any]
"""What the file holds of one target: `python`, `modules`, `third_party`, `files`; docs/tracing.md."""


def read_entries(project: Path) -> dict[str, Entry]:
    """Returns what the lock file of a project holds, by target; empty if there is none.

    Raises:
        UsageError: it is not what this version writes.
    """
    file = project / LOCK
    try:
        document = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, *UNREADABLE) as error:
        raise _broken(file, str(error)) from error
    if not isinstance(document, dict) or not isinstance(document.get("targets"), dict):
        raise _broken(file, "no `targets`")
    if document.get("format") != FORMAT:
        raise _broken(file, f"its format is {document.get('format')!r}, and this version reads {FORMAT}")
    try:
        for entry in document["targets"].values():
            _traced(entry)
    except UNREADABLE as error:
        raise _broken(file, f"an entry has another shape: {error!r}") from error
    return dict(document["targets"])


def _broken(file: Path, fault: str) -> UsageError:
    hint = "take it from version control, or remove it and run `raybundle trace TARGET`"
    return UsageError(f"cannot read {file}: {fault}", hint=hint)


def read_lock(project: Path, target: Target, interpreter: Interpreter) -> Traced | None:
    """Returns what the lock file says of `target`, or None if it says nothing.

    Raises:
        UsageError: the file is not what this version writes.
    """
    entry = read_entries(project).get(target_key(target, project))
    if entry is None:
        return None
    traced = _traced(entry)
    if minor(interpreter) in entry["python"]:
        return traced
    text = f"{LOCK} was recorded with Python {', '.join(entry['python'])}, and this is {minor(interpreter)}"
    hint = "run `raybundle trace --continue TARGET` with this Python"
    return replace(traced, warnings=(Warning(text, project / LOCK, None, hint),))


def target_key(target: Target, project: Path) -> str:
    """Returns a target as its user names it, relative to the project."""
    match target:
        case ModuleTarget(name=name):
            return f"-m {name}"
        case ConsoleScriptTarget(name=name):
            return f"console script {name}"
        case ScriptTarget(path=path) | DirectoryTarget(path=path) | NotebookTarget(path=path):
            return _relative(path, project)
        case FunctionTarget(script=path):
            return _relative(path, project)
        case other:
            return assert_never(other)


def _relative(path: Path, project: Path) -> str:
    return path.relative_to(project).as_posix() if path.is_relative_to(project) else path.name


def minor(interpreter: Interpreter) -> str:
    """Returns such as `3.11`."""
    return f"{interpreter.version[0]}.{interpreter.version[1]}"


def _traced(entry: Entry) -> Traced:
    own, others = entry["modules"], entry["third_party"]
    if not all(isinstance(each, str) for each in entry["python"]):
        raise TypeError("`python` holds no versions")
    modules = [_module(name, row, own) for name, row in {**others, **own}.items() if name != DRIVER]
    files = [
        TracedFile(str(path), str(row["importer"]), int(row["line"])) for path, row in entry["files"].items()
    ]
    without = {(str(who), str(name)) for who, names in entry.get("absent", {}).items() for name in names}
    asked = [
        TracedDistribution(str(name), str(row["importer"]), int(row["line"]))
        for name, row in entry.get("distributions", {}).items()
    ]
    return Traced(tuple(modules), tuple(files), without=frozenset(without), distributions=tuple(asked))


def _module(name: str, row: Mapping[str, Any], own: Mapping[str, Any]) -> TracedModule:
    importer = str(row["importer"])
    sha256 = own[importer].get("sha256") if importer in own else None
    return TracedModule(name, str(row.get("path", "")), importer, int(row["line"]), sha256)


def make_entry(traced: Traced, resolution: Resolution) -> Entry:
    """Returns what one run has shown, as the lock file holds it."""
    own = {str(each.name): each for each in resolution.modules if each.file is not None}
    foreign = {edge.imported for edge in resolution.edges} - set(own)
    driver = own[_driver(resolution, own)]
    modules = {DRIVER: _row(driver, resolution)}
    third_party = {}
    for each in traced.modules:
        who = {"importer": each.importer, "line": each.line}
        if each.name in own and own[each.name] is not driver:
            modules[each.name] = {**_row(own[each.name], resolution), **who}
        elif each.name in foreign:
            third_party[each.name] = who
    paths = {str(data.file): _portable(data.file, resolution) for data in resolution.data}
    files = {
        paths[each.file]: {"importer": each.importer, "line": each.line}
        for each in traced.files
        if each.file in paths
    }
    python = [minor(resolution.interpreter)]
    entry = {"python": python, "modules": modules, "third_party": third_party, "files": files}
    absent = _absent(resolution, driver) if traced.succeeded else {}
    needed = {each.name for each in resolution.distributions}
    asked = {
        each.name: {"importer": each.importer, "line": each.line}
        for each in traced.distributions
        if each.name in needed
    }
    return {**entry, **_with_content(absent=absent, distributions=asked)}


def _with_content(**tables: dict[str, Any]) -> Entry:
    """Returns the tables that are not empty: older versions wrote no others."""
    return {name: table for name, table in tables.items() if table}


def is_empty(entry: Entry) -> bool:
    """Returns whether an entry says nothing but that there is a target."""
    parts = (entry["third_party"], entry["files"], entry.get("distributions"))
    return len(entry["modules"]) == 1 and not any(parts)


def _absent(resolution: Resolution, driver: Module) -> dict[str, list[str]]:
    """Returns by importer what resolves nowhere: the run has ended well without it."""
    found: dict[str, set[str]] = {}
    for each in resolution.not_found:
        importer = DRIVER if each.importer == driver.name else str(each.importer)
        found.setdefault(importer, set()).add(str(each.name))
    return {importer: sorted(names) for importer, names in sorted(found.items())}


def _driver(resolution: Resolution, own: Mapping[str, Module]) -> str:
    if not isinstance(resolution.target, ModuleTarget):
        return DRIVER
    name = str(resolution.target.name)
    return f"{name}.{DRIVER}" if f"{name}.{DRIVER}" in own else name


def _row(module: Module, resolution: Resolution) -> dict[str, Any]:
    path = _portable(module.file, resolution) if module.file else ""
    return {"path": path, **({} if module.sha256 is None else {"sha256": module.sha256})}


def _portable(file: Path, resolution: Resolution) -> str:
    """Returns `project/…`, or `root/…` for a file under another root, whichever that is."""
    if file.is_relative_to(resolution.project):
        return f"project/{file.relative_to(resolution.project).as_posix()}"
    holding = (root.directory for root in resolution.roots if file.is_relative_to(root.directory))
    return f"root/{file.relative_to(next(holding)).as_posix()}"


def joined(before: Entry | None, now: Entry) -> Entry:
    """Returns the entry of both runs; what both have is as the later one has it."""
    if before is None:
        return now
    tables = {key: {**before[key], **now[key]} for key in ("modules", "third_party", "files")}
    versions = sorted({*before["python"], *now["python"]}, key=lambda text: [*map(int, text.split("."))])
    more = {key: {**before.get(key, {}), **now.get(key, {})} for key in ("absent", "distributions")}
    return {"python": versions, **tables, **_with_content(**more)}


def write_lock(project: Path, entries: Mapping[str, Entry]) -> bool:
    """Writes the lock file, unless it holds that already; returns whether it was written.

    Raises:
        UsageError: it cannot be written.
    """
    document = {"format": FORMAT, "targets": entries}
    data = (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
    file = project / LOCK
    if file.exists() and file.read_bytes() == data:
        return False
    write_atomically(file, data, synced=True)
    if not file.exists() or file.read_bytes() != data:
        raise UsageError(f"cannot write {file}", hint="may this user write there, and is there space?")
    return True
