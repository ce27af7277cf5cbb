"""The story of `diff`: what differs between two bundles, two runs, or a bundle and the working tree."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from raybundle.pipeline.changes import distribution_changes
from raybundle.pipeline.diffing.ends import end_of_tree, open_end
from raybundle.pipeline.diffing.graphs import edge_changes, module_changes
from raybundle.pipeline.diffing.texts import file_diffs
from raybundle.pipeline.verifying import open_shelf_of
from raybundle.publish.layout import require_format

if TYPE_CHECKING:
    from raybundle.pipeline.changes import DistributionChange
    from raybundle.pipeline.diffing.ends import End
    from raybundle.pipeline.diffing.graphs import EdgeChange, ModuleChange
    from raybundle.pipeline.diffing.texts import FileDiff
    from raybundle.submission.asking import Given


class FactChange(NamedTuple):
    """What differs besides files and distributions; None on the side that does not have it."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Diff:
    """What differs between two ends."""

    before: End
    after: End
    files: tuple[FileDiff, ...]
    modules: tuple[ModuleChange, ...]
    edges: tuple[EdgeChange, ...]
    distributions: tuple[DistributionChange, ...]
    environment: tuple[FactChange, ...]

    def __repr__(self) -> str:
        return f"Diff({self.before.digest!r}, {self.after.digest!r}, differs={self.differs})"

    @property
    def differs(self) -> bool:
        """Whether the bundles are different, or the runs were asked for in another way."""
        return self.before.digest != self.after.digest or bool(self.environment)

    @property
    def path_differs(self) -> bool:
        """Whether the path of the job is another one, or in another order."""
        return self.before.manifest.path != self.after.manifest.path


def diff(first: str, second: str | None, given: Given) -> Diff:
    """Returns what differs between two bundles or runs of the store.

    Args:
        first: a bundle or a run.
        second: another; None compares with what the working tree gives.
        given: settings of the command.

    Raises:
        StoreError: the store has no such bundle, or cannot be used.
        UsageError: the working tree has no such target.
        BundleError: an object is damaged, or the working tree cannot be bundled.
    """
    shelf = open_shelf_of(given.settings(), given.environ)
    require_format(shelf.store)
    with ThreadPoolExecutor(2) as threads:
        opened = [threads.submit(open_end, shelf, ref) for ref in (first, second) if ref is not None]
        before = opened[0].result()
        after = opened[1].result() if second is not None else end_of_tree(before.manifest, given)
    return between(before, after)


def between(before: End, after: End) -> Diff:
    """Returns what differs between two ends."""
    runs = bool(before.record and after.record)
    old, new = (end.facts(with_record=runs) for end in (before, after))
    facts = (
        FactChange(name, old.get(name), new.get(name))
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )
    return Diff(
        before,
        after,
        file_diffs(before, after),
        module_changes(before, after),
        edge_changes(before, after),
        distribution_changes(before.manifest, after.manifest),
        tuple(facts),
    )
