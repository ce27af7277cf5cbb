"""raybundle: run Ray jobs from exact, hash-addressed bundles of the code they need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybundle.version import __version__

if TYPE_CHECKING:
    from raybundle.api import Job, build, plan, run, submit

__all__ = ["Job", "__version__", "build", "plan", "run", "submit"]


def __getattr__(name: str) -> Any:
    """Loads the library at its first use: `import raybundle` and `--help` stay light."""
    if name in __all__:
        from raybundle import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
