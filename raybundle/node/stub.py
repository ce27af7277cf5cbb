"""The type of the module `sitecustomize`, for type checkers only: this file does not travel to nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import ModuleType


class Stub(Protocol):
    """What `sitecustomize` offers to the other files of the boot."""

    PRIVATE: str
    """Absolute path of this user's cache on this node."""

    MAY_SUPERVISE: str
    """Name of a variable that a supervisor has."""

    def role(self) -> str:
        """Returns `worker`, `driver` or `child`."""

    def is_guest(self) -> bool:
        """Returns whether this worker's task or actor brings the bundle, and not its job."""

    def is_library(self, path: str) -> bool:
        """Returns whether `path` is in the standard library."""

    def is_private(self, directory: str) -> bool:
        """Returns whether only this user can read and write `directory`."""

    def is_installed(self) -> bool:
        """Returns whether children can start with the copy of this module in the cache."""

    def load(self, name: str) -> ModuleType:
        """Returns a verified module of the boot."""

    def read_boot(self) -> dict[str, bytes]:
        """Returns the verified files of the boot, by name."""
