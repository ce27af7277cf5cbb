"""The `runtime_env` and the entrypoint by which a stock cluster runs a bundle: JSON and one shell line."""

from __future__ import annotations

import re
import shlex
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from raybundle.bundle.manifest import directory_symbol
from raybundle.bundle.values import ModuleEntry, ScriptEntry
from raybundle.errors import UsageError
from raybundle.node.raybundle_signature import SIGNATURES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raybundle.bundle.values import Manifest
    from raybundle.model import Digest

READY_HOOK = "raybundle_boot.ready"
"""Ray imports and calls it in each worker; a worker whose boot did not run runs no task."""
NOT_BOOTED = "the boot did not run on this node"
"""The shell's last words if the supervisor's boot did not run."""
RESERVED = ("PYTHONPATH", "PYTHONSAFEPATH", "PYTHONHOME", "PYTHONPYCACHEPREFIX")
"""Environment variables that would change the path that the bundle fixes."""
SOURCE = "RAYBUNDLE_SOURCE"
"""URL of the store from which the boot fetches layers."""
HOOK = "RAYBUNDLE_HOOK"
"""Names the hook of the user's runtime_env; the bundle's own hook calls it in a checked worker."""
SECRETS = "RAYBUNDLE_SECRETS"
"""Lists the references of all secrets for the boot: lines `NAME REFERENCE`, sorted."""
WAITING = "raybundle-secret "
"""Precedes the reference in a secret's variable, until the boot has found the value."""


def render_runtime_env(  # noqa: PLR0913 - all that a runtime_env is made of
    digest: Digest,
    boot: str,
    url: str,
    env: Mapping[str, str],
    secrets: Mapping[str, str] = MappingProxyType({}),
    *,
    passed: Mapping[str, Any] = MappingProxyType({}),
    layers: Sequence[str] = (),
    source: str | None = None,
    delivery: str | None = None,
    cwd: str = "",
    signatures: str | None = None,
) -> dict[str, Any]:
    """Returns the `runtime_env` of a bundle; it is the same for every run, so that Ray's caches hold.

    Args:
        digest: of the bundle.
        boot: hex digest of the boot in the archive.
        url: of the archive, which the nodes can read.
        env: environment variables of the job.
        secrets: references to secrets by variable, as `parse_secrets` returns them; no values.
        passed: keys of the user's `runtime_env`; `env` and what the bundle sets take precedence.
        layers: URLs of relayed packages with layers, in order.
        source: URL of the store from which the nodes fetch the other layers.
        delivery: hex SHA-256 of the archive's `delivery.json`, if it has one.
        cwd: where the job starts, relative to the project; empty for its root.
        signatures: for nodes that require one.

    Raises:
        UsageError: a variable belongs to the bundle, or is set in two ways; `passed` has `py_modules`.
    """
    variables = _allowed(passed, {**passed.get("env_vars", {}), **env})
    ways = {"RAYBUNDLE_DELIVERY": delivery, SOURCE: source, "RAYBUNDLE_CWD": cwd, SIGNATURES: signatures}
    own = _own_variables(digest, boot, {HOOK: passed.get("worker_process_setup_hook"), **ways})
    variables = {**variables, **_render_secrets(secrets, variables), **own}
    code = {"working_dir": url, **({"py_modules": [*layers]} if layers else {})}
    return {**passed, **code, "env_vars": variables, "worker_process_setup_hook": READY_HOOK}


def _own_variables(digest: Digest, boot: str, others: Mapping[str, str | None]) -> dict[str, str]:
    """Returns the variables that tell the boot what to do; those without a value are left out."""
    own = {"RAYBUNDLE_BOOT": boot, "RAYBUNDLE_DIGEST": digest, **others}
    return {name: value for name, value in own.items() if value}


def _allowed(passed: Mapping[str, Any], variables: dict[str, str]) -> dict[str, str]:
    """Returns the job's variables; refuses what would change the path that the bundle fixes."""
    if "py_modules" in passed:
        raise UsageError(
            "`py_modules` of a runtime_env would not be on the path that the bundle fixes",
            hint="name the directories that hold them in `roots` instead",
        )
    refuse_owned(variables)
    return variables


def refuse_owned(variables: Iterable[str]) -> None:
    """Refuses environment variables that the bundle sets itself.

    Raises:
        UsageError: there is one.
    """
    for name in filter(owned, variables):
        raise UsageError(
            f"`env` sets {name}, which the bundle owns",
            hint="add directories with `roots` instead: they are part of the bundle's path",
        )


def owned(name: str) -> bool:
    """Whether the environment variable `name` belongs to the bundle, so that no job may set it."""
    return name in RESERVED or name.startswith("RAYBUNDLE_")


def _render_secrets(secrets: Mapping[str, str], env: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables by which the boot finds the secrets.

    Each variable holds its reference at first. So it hides a node's own value of that name, and a task's own
    value hides the reference. A secret that a node has under the same name (`env:NAME`) must not be hidden.
    """
    if not secrets:
        return {}
    if both := sorted(set(secrets) & set(env)):
        raise UsageError(f"both `env` and `--secret` set {', '.join(both)}", hint="remove one of the two")
    covered = {name: WAITING + secrets[name] for name in sorted(secrets) if secrets[name] != f"env:{name}"}
    for name in covered:
        other = secrets[name].removeprefix("env:")
        if other in env or other in covered:
            raise UsageError(
                f"the secret {name} is read from the variable {other}, which this job sets itself",
                hint="name a variable that the nodes have before the job",
            )
    lines = [f"{name} {secrets[name]}" for name in sorted(secrets)]
    return {**covered, SECRETS: "\n".join(lines)}


def render_entrypoint(manifest: Manifest, arguments: Sequence[str]) -> str:
    """Returns the shell line that runs the bundle's target with `arguments`, byte for byte.

    The supervisor hands its entrypoint to `sh -c`. The shell interprets nothing but the two variables that
    the boot has set, and it ends there if the boot has not run.

    Raises:
        UsageError: an argument is not text.
    """
    for argument in arguments:
        _require_text(argument)
    python = f'"${{RAYBUNDLE_PYTHON:?{NOT_BOOTED}}}"'
    match manifest.target:
        case ScriptEntry(path=path):
            target = f'"$RAYBUNDLE_TREE"/{shlex.quote(path)}'
            if directory_symbol(path) not in manifest.path:
                target = f"-P {target}"
        case ModuleEntry(name=name):
            target = f"-m {shlex.quote(name)}"
    return " ".join(["exec", python, target, *map(shlex.quote, arguments)])


LONGEST_SHOWN = 200
"""Characters of the command before an entrypoint: a longer one stands there without its arguments."""


def render_command(manifest: Manifest, arguments: Sequence[str]) -> str:
    """Returns the entrypoint of a submitted job: the command that users know, without effect, and the line.

    Ray's dashboard shows the start of it. `python job.py` as the entrypoint would run the script that Ray
    has unpacked, unverified, if the boot has not run (docs/decisions/001-boot-and-path.md).

    Raises:
        UsageError: an argument is not text.
    """
    line = render_entrypoint(manifest, arguments)
    shown = command_text(line)
    if len(shown) > LONGEST_SHOWN or "\n" in shown:
        shown = f"{command_text(render_entrypoint(manifest, ()))} …"
    return f": {shown}; {line}"


_RENDERED = re.compile(
    r'(?:: .*?; )?exec "\$\{RAYBUNDLE_PYTHON:\?[^"]*\}" (?:(?:-P )?"\$RAYBUNDLE_TREE"/project/)?(.*)',
    re.DOTALL,
)


def command_text(entrypoint: str) -> str:
    """Returns the command that a user knows an entrypoint by; another's entrypoint is as it is."""
    found = _RENDERED.fullmatch(entrypoint)
    return entrypoint if found is None else f"python {found[1]}"


def _require_text(argument: str) -> None:
    try:
        argument.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the argument {argument!r} is not UTF-8, and Ray's API carries text only",
            hint="pass it in a file, or encoded",
        ) from error
