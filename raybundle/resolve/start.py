"""Holds where a resolution begins: the driver, and what it reaches before any source is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybundle.model import Rule
    from raybundle.resolve.evaluate.edits import Edit
    from raybundle.resolve.find.finder import FirstParty
    from raybundle.resolve.traced import TracedModule


@dataclass(frozen=True, slots=True)
class Start:
    """The driver, and what else enters the graph without an import."""

    name: str
    found: FirstParty
    edits: tuple[Edit, ...] = ()
    """The driver's own edits of `sys.path`."""
    understood: frozenset[int] = frozenset()
    """Lines of the driver whose edits are already part of the finder's path."""
    implied: tuple[tuple[str, Rule], ...] = ()
    """Modules that no source imports: those of Python's start-up, and those in `include`."""
    unsure: frozenset[str] = frozenset()
    """Those of `implied` that may be scripts: their directory is not on Python's own path."""
    configs: tuple[str, ...] = ()
    """Configuration files and pickles that travel because something names them."""
    pickles: tuple[str, ...] = ()
    """Pickles that travel and that no path names. They count if a source may load them."""
    followed: tuple[str, ...] = ()
    """Paths whose links the driver's edits resolve, and the directories that they add."""
    depends_on_cwd: bool = False
    """The driver edits the path, which may depend on the current directory."""
    reads_files: bool = False
    """The driver's edits of the path depend on `.pth` files."""
    imported: bool = False
    """The driver is imported: its `__name__` is not `__main__`."""
    traced: tuple[TracedModule, ...] = ()
    """Modules that runs have shown and the path has."""
