"""The story of `run --here`: a bundle of the store on this machine, under its own path, without a cluster."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from raybundle.cache.documents import Cache
from raybundle.cluster.embedded.interpreter import ray_environment
from raybundle.cluster.runtime_env import render_entrypoint, render_runtime_env
from raybundle.config import cache_directory
from raybundle.errors import JobStartError, Terminated
from raybundle.publish.bundles import open_configured
from raybundle.publish.content.nodes import NODE_CACHE, source_with_layers, unpack_as_ray
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.trust.policy import trust_of
from raybundle.submission.destination import require_embedded_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from raybundle.config import Settings
    from raybundle.model import Digest
    from raybundle.planning import Listener
    from raybundle.publish.content.objects import Shelf
    from raybundle.publish.stored import Stored
    from raybundle.submission.options import JobOptions

GRACE = 5.0
"""Seconds that an interrupted program gets to end."""
SIGNALLED = 128
"""Added to the number of the signal that ended a program, as a shell does."""


@dataclass(frozen=True, slots=True)
class Here:
    """A bundle that runs on this machine."""

    stored: Stored
    options: JobOptions
    python: str
    """The interpreter; it has Ray."""
    words: tuple[str, ...] | None = None
    """Words for the interpreter itself; None runs the target of the bundle."""


def run_here(  # noqa: PLR0913 - what the command line has
    ref: str,
    options: JobOptions,
    settings: Settings,
    environ: Mapping[str, str],
    listener: Listener,
    *,
    words: Sequence[str] | None = None,
    output: IO[bytes] | None = None,
) -> tuple[Digest, int]:
    """Runs a bundle of the configured store, and returns its digest and the exit code of its program.

    Args:
        ref: the bundle's digest, the start of it, or a name.
        options: of the job; only what a program without a cluster can have.
        settings: `store` and `python`.
        environ: of the user.
        listener: hears warnings.
        words: for the interpreter itself, instead of the target.
        output: takes what the program prints; by default, it has the streams of this process.

    Raises:
        StoreError: the store has no such bundle, or cannot be used.
        BundleError: this machine has no Python for it, an object of the store is damaged, or a signature is
            required and not there.
        JobStartError: the boot refuses to run it.
    """
    options.check()
    shelf = open_shelf(open_configured(settings, environ), Cache(cache_directory(environ)))
    stored = trust_of(settings, environ).find_plain(shelf.store, ref)
    listener.warnings((*options.warnings, *stored.warnings))
    python = require_embedded_for(stored.manifest.python, settings.text("python"), environ)
    return stored.digest, run_stored(
        shelf, Here(stored, options, python, None if words is None else tuple(words)), output
    )


def run_stored(
    shelf: Shelf,
    here: Here,
    output: IO[bytes] | None = None,
    holding: Callable[[subprocess.Popen[bytes]], AbstractContextManager[object]] = nullcontext,
) -> int:
    """Runs a stored bundle and returns the exit code of its program; 128 and N if signal N ended it.

    Args:
        shelf: of the store.
        here: the bundle.
        output: takes what the program prints; by default, it has the streams of this process.
        holding: surrounds the wait for the program.

    Raises:
        DigestMismatchError: an object of the store is damaged.
        JobStartError: the boot refuses to run it.
    """
    place = Path(tempfile.mkdtemp(prefix=".here-", dir=shelf.folder))
    try:
        (place / "archive").mkdir()
        boot = unpack_as_ray(shelf, here.stored, place / "archive")
        source = source_with_layers(shelf, here.stored, place / "store")
        environment = _environment(here, boot, source, place / "archive")
        environment |= _token(place / "token")
        _boot(here.python, environment, place / "archive")
        process = _started(here, environment, place / "archive", output)
        try:
            with holding(process):
                code = _waited(process, prompts=here.words is not None)
        except BaseException:
            _kill(process, signal.SIGKILL)
            raise
        return code if code >= 0 else SIGNALLED - code
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _environment(here: Here, boot: str, source: str | None, archive: Path) -> dict[str, str]:
    """Returns the variables of the job's processes: as on a node, and nothing of this Python's."""
    stored, options = here.stored, here.options
    runtime_env = render_runtime_env(
        stored.digest,
        boot,
        archive.as_uri(),
        options.env,
        options.secrets,
        source=source,
        delivery=stored.delivery,
        cwd=options.cwd,
        signatures=stored.signatures,
    )
    kept = {
        name: value
        for name, value in ray_environment(Path(here.python)).items()
        if not name.startswith("PYTHON") or name == "PYTHONUNBUFFERED"
    }
    return {**kept, **runtime_env["env_vars"], "PYTHONPATH": str(archive)}


def _token(file: Path) -> dict[str, str]:
    """Returns the variables of a new token: a Ray that the program starts writes none to the user's home."""
    file.touch(mode=0o600)
    file.write_text(secrets.token_hex(32), "ascii")
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}


def _boot(python: str, environment: Mapping[str, str], archive: Path) -> None:
    """Makes the verified tree and the path, as the first process on a node does."""
    done = subprocess.run(
        [python, "-c", ""],
        env=environment,
        cwd=archive,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise JobStartError(
            f"the bundle does not start on this machine: {said or f'exit code {done.returncode}'}",
            hint=f"`raybundle node verify` examines {NODE_CACHE}",
        )


def _started(
    here: Here, environment: Mapping[str, str], archive: Path, output: IO[bytes] | None
) -> subprocess.Popen[bytes]:
    tree = f"{NODE_CACHE}/trees/{here.stored.digest.removeprefix('sha256:')}"
    job = {"metadata": {"job_submission_id": f"here-{secrets.token_hex(8)}"}}
    own = {
        "RAYBUNDLE_PYTHON": here.python,
        "RAYBUNDLE_TREE": tree,
        "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(job),
    }
    line = render_entrypoint(here.stored.manifest, here.options.arguments)
    words = ["/bin/sh", "-c", line] if here.words is None else [here.python, *here.words]
    return subprocess.Popen(
        words,
        env={**environment, **own},
        cwd=archive,
        stdout=output,
        stderr=output if output is None else subprocess.STDOUT,
        start_new_session=True,  # it is a job's own: when its leader ends, the scratch is removed
    )


def _waited(process: subprocess.Popen[Any], *, prompts: bool) -> int:
    """Returns how a program ended. An interrupt goes on to it; a second one ends it, unless it prompts."""
    interrupts = 0
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt as interrupt:  # noqa: PERF203 - a user may press it often
            interrupts += 1
            number = signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT
            _kill(process, number if interrupts == 1 or prompts else signal.SIGKILL)


def end_program(process: subprocess.Popen[Any]) -> None:
    """Interrupts a program that another thread waits for, and kills it if it stays."""
    _kill(process, signal.SIGINT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
        return
    _kill(process, signal.SIGKILL)


def _kill(process: subprocess.Popen[Any], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
