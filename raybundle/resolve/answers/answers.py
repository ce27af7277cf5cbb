"""Keeps whole resolutions between runs, and gives one again only while nothing that it depends on changed."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Kind
from raybundle.cache.room import IN_USE
from raybundle.model import ModuleTarget, ScriptTarget
from raybundle.resolve.answers.places import moved, places_of
from raybundle.resolve.answers.rows import CannotKeepError, from_document, to_document
from raybundle.resolve.collector import uncollected
from raybundle.resolve.consulted import Consulted, unchanged
from raybundle.resolve.driver.project import project_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from raybundle.model import Interpreter, Resolution, Target
    from raybundle.resolve.answers.places import Places
    from raybundle.resolve.resolve import Recorded
    from raybundle.resolve.settings import ResolveSettings

ANSWERS = Kind("answers", 32, IN_USE)
"""Of all targets that were resolved in the last hour: `plan --against` resolves each twice."""
_KNOWN = (ScriptTarget, ModuleTarget)
"""Targets whose files are all on record; others are resolved each time."""


@dataclass(frozen=True, slots=True)
class Question:
    """All that decides an answer, apart from what is on the disk."""

    target: Target
    settings: ResolveSettings
    interpreter: Interpreter
    cwd: Path


def answer(
    target: Target, settings: ResolveSettings, interpreter: Interpreter, cwd: Path, cache: Cache
) -> Resolution:
    """Returns what `resolve` returns, from the cache where everything it depends on is as it was.

    Raises:
        BundleError, RefusedFileError, UsageError: as `resolve` does.
    """
    if settings.traced is not None:
        from raybundle.resolve.resolve import resolve  # noqa: PLC0415 - as below

        with uncollected():
            return resolve(target, settings, interpreter, cwd, cache)
    with uncollected():
        return _answer(Question(target, settings, interpreter, cwd.resolve()), cache)


def _answer(question: Question, cache: Cache) -> Resolution:
    places = places_of(_project(question), question.interpreter)
    name = _name(question, places, cache)
    known = _recall(question, name, places, cache)
    if known is not None:
        return known
    from raybundle.resolve.resolve import resolve_recorded  # noqa: PLC0415 - a warm start parses nothing

    asked = (question.target, question.settings, question.interpreter, question.cwd)
    recorded = resolve_recorded(*asked, cache)
    if type(question.target) in _KNOWN and recorded.complete:
        _keep(recorded, name, places, cache)
    return recorded.resolution


def _name(question: Question, places: Places, cache: Cache) -> str:
    """Returns the name of the answer: what the question means wherever its places are, and what it says."""
    text = json.dumps(_meaning(question))
    return f"{cache.key(places.hide(text), places.order)[:16]}-{cache.key(text)[:16]}"


def _meaning(question: Question) -> list[Any]:
    """Returns what the paths and patterns of the question mean now."""
    interpreter, settings = question.interpreter, question.settings
    project = _project(question)
    return [
        sys.byteorder,
        [os.geteuid(), os.getegid(), *os.getgroups()],  # they decide what can be read
        repr(question.target),
        [str(project), str(question.cwd) if _counts(question.cwd, question.target, project) else ""],
        [[each.name, _plain(getattr(settings, each.name))] for each in fields(settings)],
        [[each.name, _plain(getattr(interpreter, each.name))] for each in fields(interpreter)],
        [_real(each) for each in (*interpreter.path, *(str(project / root) for root in settings.roots))],
        _real(str(question.target.path)) if isinstance(question.target, ScriptTarget) else "",
        _matched(project, settings.include),
    ]


def _counts(cwd: Path, target: Target, project: Path) -> bool:
    """Returns whether the current directory is an input: it is on the path, or the job starts there."""
    related = project.is_relative_to(cwd) or cwd.is_relative_to(project)
    return isinstance(target, ModuleTarget) or (cwd != project and related)


def _plain(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [_plain(each) for each in value]
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)


def _real(path: str) -> tuple[str, bool]:
    return os.path.realpath(path), os.path.isdir(path)  # noqa: PTH112


def _project(question: Question) -> Path:
    return (question.settings.project or project_of(question.target, question.cwd)).resolve()


def _matched(project: Path, patterns: tuple[str, ...]) -> list[list[str]]:
    """Returns the files that `include` means: patterns walk directories that nothing else asks for."""
    if not patterns:
        return []
    from raybundle.resolve.files.data_files import included  # noqa: PLC0415 - most projects have no patterns

    candidates, _ = included(project, patterns)
    return [[each.file, each.reason] for each in candidates]


def _recall(question: Question, name: str, places: Places, cache: Cache) -> Resolution | None:
    """Returns the kept answer if everything that it depends on is as it was; it may be another checkout's."""
    if cache.path(ANSWERS, name).exists():
        return cache.read(ANSWERS, name, lambda document: _parsed(document, (), question, name, cache))

    def parse(document: dict[str, Any]) -> Resolution | None:
        here, alien = moved(document, places), places.changed(document["places"])
        return None if here is None else _parsed(here, alien, question, name, cache)

    other = cache.latest(ANSWERS, name.partition("-")[0])
    return cache.read(ANSWERS, other, parse) if other else None


def _parsed(
    document: dict[str, Any], alien: Iterable[str], question: Question, name: str, cache: Cache
) -> Resolution | None:
    """Returns the resolution if nothing changed, and keeps it with fresh identities."""
    if document["cwd"] not in {None, str(question.cwd)}:
        return None
    record = Consulted(0, **document["consulted"])
    fresh = unchanged(record, cache.clock(), map(os.fsencode, alien))
    if fresh is None:
        return None
    given = {
        "target": question.target,
        "project": _project(question),
        "interpreter": question.interpreter,
        "not_imported": None,
    }
    resolution = from_document(document["answer"], given)
    if _rows(fresh) != _rows(record):
        cache.write(ANSWERS, name, {**document, "consulted": _rows(fresh)})
    return resolution


def _keep(recorded: Recorded, name: str, places: Places, cache: Cache) -> None:
    try:
        stored = to_document(recorded.resolution)
    except CannotKeepError:
        return
    document = {
        "cwd": recorded.cwd and str(recorded.cwd),
        "places": places.bases,
        "consulted": _rows(recorded.consulted),
        "answer": stored,
    }
    cache.write(ANSWERS, name, document)


def _rows(record: Consulted) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in fields(record) if each.name != "began"}
