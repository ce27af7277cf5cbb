"""The `runtime_env` and the entrypoint by which a stock cluster runs a bundle: JSON and one shell line."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from raybundle.bundle.manifest import ModuleEntry, ScriptEntry
from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.bundle.manifest import Manifest
    from raybundle.model import Digest

READY_HOOK = "raybundle_boot.ready"
"""Ray imports and calls it in each worker; where the boot did not run, the worker runs no task."""
NOT_BOOTED = "the boot did not run on this node"
"""What the shell says, and ends with, where the supervisor has not been through the boot."""
RESERVED = ("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX")
"""Environment variables that would change the path that the bundle fixes."""


def render_runtime_env(digest: Digest, boot: str, url: str, env: Mapping[str, str]) -> dict[str, Any]:
    """Returns the `runtime_env` of a bundle; the same for every run of it, so that Ray's caches hold.

    Args:
        digest: of the bundle.
        boot: hex digest of the boot in the archive.
        url: of the archive, in a scheme that the nodes can read.
        env: environment variables of the job.

    Raises:
        UsageError: `env` sets a variable that the bundle owns.
    """
    for name in env:
        if name in RESERVED or name.startswith("RAYBUNDLE_"):
            raise UsageError(
                f"`env` sets {name}, which the bundle owns",
                hint="add directories with `roots` instead: they are part of the bundle's path",
            )
    return {
        "working_dir": url,
        "env_vars": {**env, "RAYBUNDLE_BOOT": boot, "RAYBUNDLE_DIGEST": digest},
        "worker_process_setup_hook": READY_HOOK,
    }


def render_entrypoint(manifest: Manifest, arguments: Sequence[str]) -> str:
    """Returns the shell line that runs the bundle's target with `arguments`, byte for byte.

    The supervisor hands its entrypoint to `sh -c`; the line gives the shell nothing to interpret but the two
    variables that the boot has set, and it ends there if the boot has not run.

    Raises:
        UsageError: an argument is not text.
    """
    for argument in arguments:
        _require_text(argument)
    python = f'"${{RAYBUNDLE_PYTHON:?{NOT_BOOTED}}}"'
    match manifest.target:
        case ScriptEntry(path=path):
            target = f'"$RAYBUNDLE_TREE"/{shlex.quote(path)}'
        case ModuleEntry(name=name):
            target = f"-m {shlex.quote(name)}"
    return " ".join(["exec", python, target, *map(shlex.quote, arguments)])


def _require_text(argument: str) -> None:
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the argument {argument!r} is not UTF-8, and Ray's API carries text only",
            hint="pass it in a file, or encoded",
        ) from error
