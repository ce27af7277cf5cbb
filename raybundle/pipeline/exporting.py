"""The story of `export`: a bundle of the store as a `runtime_env` for plain Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.cluster.runtime_env import render_entrypoint, render_runtime_env
from raybundle.cluster.secrets import refuse_literals
from raybundle.errors import UsageError
from raybundle.publish.bundles import find_bundle, open_configured
from raybundle.publish.layout import source_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.config import Settings
    from raybundle.model import Digest
    from raybundle.planning import Listener


@dataclass(frozen=True, slots=True, repr=False)
class Export:
    """What plain Ray runs a bundle with."""

    bundle: Digest
    runtime_env: dict[str, Any]
    """JSON; it names the store, and holds no credentials."""
    entrypoint: str
    """One line for a shell."""

    def __repr__(self) -> str:
        return f"Export(bundle={self.bundle!r}, entrypoint={self.entrypoint!r})"


def export_bundle(
    ref: str, settings: Settings, environ: Mapping[str, str], cwd: str, listener: Listener
) -> Export:
    """Returns the `runtime_env` of a bundle of the store.

    Args:
        ref: the bundle's digest, the start of it, a name, or the id of a run.
        settings: `store` and `env`.
        environ: environment variables.
        cwd: where the job starts, relative to the project.
        listener: hears the warnings.

    Raises:
        UsageError: nodes cannot read from the store, or `env` holds what looks like a secret.
        StoreError: the store has no such bundle, or cannot be used.
    """
    store = open_configured(settings, environ)
    stored = find_bundle(store, ref)
    listener.warnings(stored.warnings)
    url = store.node_url(stored.archive_key)
    if url is None:
        raise UsageError(
            f"no node can read from {store.url}, so there is no runtime_env that names it",
            hint="build into a store that nodes read, such as s3://bucket/prefix",
        )
    env = settings.table("env")
    refuse_literals(env)
    source = source_of(store) if stored.layers else None
    runtime_env = render_runtime_env(
        stored.digest, stored.boot, url, env, source=source, delivery=stored.delivery, cwd=cwd
    )
    return Export(stored.digest, runtime_env, render_entrypoint(stored.manifest, ()))
