"""The module `sitecustomize` as the rest of the boot sees it: for type checkers alone, it does not travel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from types import ModuleType


class Stub(Protocol):
    """What the boot's first file offers to the others."""

    PRIVATE: str
    """The cache of this user on this node, an absolute path."""

    def role(self) -> str:
        """Returns `worker`, `driver` or `child`."""

    def is_library(self, path: str) -> bool:
        """Claims that `path` is in the standard library."""

    def is_private(self, directory: str) -> bool:
        """Claims that no other user can write to `directory`."""

    def load(self, name: str) -> ModuleType:
        """Returns a verified module of the boot."""

    def read_boot(self) -> dict[str, bytes]:
        """Returns the verified files of the boot, by name."""
