"""The story of `plan --against`: the bundle at a commit, or one of the store, beside that of today."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import BundleError, ObjectMissingError, UsageError
from raybundle.explain.unread import DataFiles
from raybundle.model import DirectoryTarget, NotebookTarget, ScriptTarget
from raybundle.pipeline.changes import Changes, Side, changes_between
from raybundle.pipeline.snapshot import Snapshot, find_snapshot
from raybundle.planning import plan
from raybundle.publish.bundles import bytes_of, find_bundle, open_configured
from raybundle.request import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raybundle.config import Settings
    from raybundle.explain.chains import Chain
    from raybundle.model import Target
    from raybundle.planning import Plan
    from raybundle.request import Prepared, Request


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """A target now and before."""

    request: Request
    plan: Plan
    changes: Changes | None
    """None if there was no such bundle before."""
    fault: str | None = None
    """Why there was none."""

    def __repr__(self) -> str:
        return f"Comparison({self.plan.digest!r}, differs={self.differs})"

    @property
    def differs(self) -> bool:
        """Whether the bundle is another one, or new."""
        return self.changes is None or self.changes.differs


@dataclass(frozen=True, slots=True)
class Baseline:
    """What targets are compared with: a commit, or one bundle of the store."""

    name: str
    """As the user wrote it."""
    of: Snapshot | Side
    data_files: DataFiles = field(default_factory=DataFiles, repr=False, compare=False)
    """Of the project and of the snapshot: all targets share them."""

    @property
    def identity(self) -> str:
        """The commit, or the digest of the bundle."""
        return self.of.commit if isinstance(self.of, Snapshot) else self.of.digest


def find_baseline(name: str, requests: Sequence[Request]) -> Baseline:
    """Returns what `--against` names: a revision of the project's repository, else a bundle of the store.

    Raises:
        UsageError: it is neither, or a bundle is compared with several targets.
        StoreError: the store cannot be used.
    """
    first = requests[0]
    snapshot = find_snapshot(first.project, name, first.environ)
    if snapshot is not None:
        return Baseline(name, snapshot)
    store = open_configured(first.settings, first.environ)
    try:
        stored = find_bundle(store, name)
    except (ObjectMissingError, UsageError) as error:
        raise UsageError(
            f"`{name}` is neither a revision of the repository nor a bundle of {store.url}",
            hint="name a branch, a tag or a commit, or a digest or name that `raybundle build` printed",
        ) from error
    if len(requests) > 1:
        raise UsageError(f"`{name}` is one bundle, and {len(requests)} targets are compared with it")
    return Baseline(name, Side(stored.digest, stored.manifest, bytes_of(store, stored)))


def compare(request: Request, baseline: Baseline, reload: Callable[[Path], Settings]) -> Comparison:
    """Returns what a target's bundle is now, and how it differs from the baseline.

    Args:
        request: the target, with its settings now.
        baseline: as `find_baseline` returns it.
        reload: returns the settings of a project; that of the snapshot has a file of its own.

    Raises:
        BundleError: the target cannot be bundled now.
    """
    prepared = prepare(request)
    now = plan(prepared, data_files=baseline.data_files)
    after = Side(now.digest, now.manifest, now.bytes, now.resolution)
    if isinstance(baseline.of, Side):
        return Comparison(request, now, changes_between(baseline.of, after))
    snapshot = baseline.of
    try:
        earlier = plan(_prepared_in(snapshot, prepared, reload), data_files=baseline.data_files)
    except (BundleError, UsageError) as error:
        return Comparison(request, now, None, snapshot.text(str(error)))
    before = Side(earlier.digest, earlier.manifest, earlier.bytes, earlier.resolution)
    known = [snapshot.text(each.text) for each in earlier.resolution.warnings]
    changes = changes_between(before, after, known)
    files = tuple(replace(each, chain=_now(each.chain, snapshot)) for each in changes.files)
    return Comparison(request, now, replace(changes, files=files))


def _now(chain: Chain, snapshot: Snapshot) -> Chain:
    """Returns a chain whose places are in the repository: a removed file's are in the snapshot."""
    return tuple(replace(edge, file=Path(snapshot.text(str(edge.file)))) for edge in chain)


def _prepared_in(snapshot: Snapshot, now: Prepared, reload: Callable[[Path], Settings]) -> Prepared:
    """Returns a prepared request as it would have been at the snapshot's commit, with today's environment."""
    request, project = now.request, snapshot.of(now.request.project)
    earlier = replace(
        request,
        target=_target_in(snapshot, request.target),
        settings=reload(project),
        project=project,
        cwd=snapshot.of(request.cwd) if snapshot.of(request.cwd).is_dir() else project,
        warnings=(),
    )
    return replace(now, request=earlier, interpreter=snapshot.interpreter(now.interpreter))


def _target_in(snapshot: Snapshot, target: Target) -> Target:
    match target:
        case ScriptTarget(path=path) | DirectoryTarget(path=path) | NotebookTarget(path=path):
            file = snapshot.of(path)
            if not file.exists():
                raise UsageError("the target is new")
            return replace(target, path=file)
        case _:
            return target
