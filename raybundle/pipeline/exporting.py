"""The story of `export`: a bundle of the store for plain Ray, as a `runtime_env` or for KubeRay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from raybundle.cluster.runtime_env import render_entrypoint, render_runtime_env
from raybundle.cluster.secrets import arguments_warning, refuse_literals
from raybundle.errors import UsageError
from raybundle.pipeline.kuberay import (
    Export,
    absent_applications,
    check_wanted,
    loopback_host,
    pods_without,
    render_resource,
)
from raybundle.publish.bundles import open_configured
from raybundle.publish.layout import source_of
from raybundle.publish.repack import check_archive
from raybundle.publish.trust.policy import trust_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.config import Settings
    from raybundle.pipeline.kuberay import Start, Wanted
    from raybundle.planning import Listener
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Store


def export_bundle(  # noqa: PLR0913 - a bundle, its job, and what is made of them
    ref: str,
    settings: Settings,
    environ: Mapping[str, str],
    start: Start,
    listener: Listener,
    *,
    wanted: Wanted,
) -> Export:
    """Returns the `runtime_env` of a bundle of the store, and what KubeRay runs it with.

    Args:
        ref: the bundle's digest, the start of it, a name, or the id of a run.
        settings: `store` and `env`.
        environ: environment variables.
        start: how the job starts.
        listener: hears the warnings.
        wanted: what to write besides, for KubeRay.

    Raises:
        UsageError: nodes cannot read from the store, `env` holds what looks like a secret, or the resource
            cannot be made.
        StoreError: the store has no such bundle, or cannot be used.
    """
    check_wanted(wanted, start)
    store = open_configured(settings, environ)
    stored = trust_of(settings, environ).find(store, ref)
    secret = arguments_warning(start.arguments)
    listener.warnings([*stored.warnings, *([secret] if secret else [])])
    check_signed(stored, store, listener)
    env = settings.table("env")
    refuse_literals(env)
    runtime_env = exported_env(stored, store, env, cwd=start.cwd)
    entrypoint = render_entrypoint(stored.manifest, start.arguments)
    found = Export(stored.digest, runtime_env, entrypoint, stored.manifest)
    if wanted.kind == "runtime-env":
        return found
    resource = render_resource(wanted, found, stored.manifest, start)
    _warn_of_resource(wanted, stored, store.url, listener)
    return replace(found, resource=resource)


def _warn_of_resource(wanted: Wanted, stored: Stored, store_url: str, listener: Listener) -> None:
    """Warns of a resource that KubeRay takes, and whose pods would not work."""
    if store_url.startswith("file:"):
        bare = pods_without(PurePosixPath(unquote(urlsplit(store_url).path)), wanted)
        if bare:
            listener.warn(
                f"the store {store_url} is a directory of this machine, and pods of {', '.join(bare)} have "
                "nothing mounted there: mount it at the same path, or build into a store that pods read, "
                "such as s3://bucket/prefix"
            )
    if host := loopback_host(wanted):
        listener.warn(
            f"`http_options` has `host: {host}`, so no request reaches the pods: write `host: 0.0.0.0`"
        )
    services = wanted.kind == "rayservice"
    for name, module in absent_applications(wanted, stored.manifest) if services else ():
        listener.warn(
            f"the bundle has no file for the module `{module}` of application {name!r}: unless a "
            "distribution has it, build the bundle from a script that imports it"
        )


def check_signed(stored: Stored, store: Store, listener: Listener) -> None:
    """Checks the archive of a signed bundle; tells what can happen to it until Ray itself fetches it.

    Raises:
        UntrustedError: it has another boot than this raybundle.
        DigestMismatchError: it is not the archive of the bundle.
    """
    if stored.signatures:
        check_archive(store, stored)
        listener.warn(
            f"Ray fetches the archive from {store.url} and compares nothing: whoever can write there can "
            "replace it after its signature was checked"
        )
        if len(stored.layers) > len(stored.manifest.layers):
            listener.warn("the byte-code of its layers comes from the store, and no signature covers it")


def exported_env(  # noqa: PLR0913 - what a job of plain Ray is made of
    stored: Stored,
    store: Store,
    env: Mapping[str, str],
    *,
    cwd: str,
    secrets: Mapping[str, str] = MappingProxyType({}),
    passed: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Returns the `runtime_env` by which plain Ray runs a stored bundle; arguments as `render_runtime_env`.

    Raises:
        UsageError: nodes cannot read from the store, or the variables are not valid.
    """
    url = store.node_url(stored.archive_key)
    if url is None:
        raise UsageError(
            f"no node can read from {store.url}, so there is no runtime_env that names it",
            hint="build into a store that nodes read, such as s3://bucket/prefix",
        )
    source = source_of(store) if stored.layers or stored.data else None
    return render_runtime_env(
        stored.digest,
        stored.boot,
        url,
        env,
        secrets,
        passed=passed,
        source=source,
        delivery=stored.delivery,
        cwd=cwd,
        signatures=stored.signatures,
    )
