"""Finds uv and runs it."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from raybundle.errors import BundleError, UsageError
from raybundle.formats.credentials import without_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_UNSATISFIABLE = "No solution found"
"""How uv's message begins if it has seen all indexes and finds no solution."""
_HASHES = "Hash mismatch"
_LOGIN = re.compile(
    r"""(?P<scheme>(?<!file)://)[^\s'"`]*@
      | (?<![^\s'"`]) (?![^\s'"`]*://) [^\s'"`]+:[^\s'"`]*@""",
    re.VERBOSE,
)
"""User and password of a URL, also of one without slashes; up to the last `@`."""
_ADVICE = ("warning", "For more information")


def is_true(text: str) -> bool:
    """Returns whether uv and pip read the value of a variable as true."""
    return text.strip().lower() in {"1", "true", "t", "yes", "y", "on"}


class NoSolutionError(BundleError):
    """The requirements cannot be met; the message is uv's reason."""


def find_uv(environ: Mapping[str, str]) -> str:
    """Returns the path of uv: of the installed package, else on PATH.

    Raises:
        UsageError: uv is not installed.
    """
    try:
        from uv import find_uv_bin  # noqa: PLC0415 - it is an extra

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("uv", path=environ.get("PATH", ""))
    if found is None:
        raise UsageError(
            "a bundle for another Python or platform needs uv, which is not installed",
            hint="pip install 'raybundle[uv]'",
        )
    return found


def run_uv(words: Sequence[str], environ: Mapping[str, str], project: Path, given: str = "") -> str:
    """Returns what `uv WORDS` prints; it reads `given` from stdin and runs in `project`.

    Raises:
        NoSolutionError: distributions do not exist, or do not fit together.
        BundleError: an index cannot be reached, or uv reports another error.
        UsageError: uv is not installed.
    """
    # `uv pip compile` ignores the variable (measured), but not the option.
    offline = ["--no-index"] if is_true(environ.get("UV_NO_INDEX", "")) else []
    try:
        done = subprocess.run(
            [find_uv(environ), *words, *offline, "--no-progress", "--color", "never"],
            env=dict(environ),
            cwd=project,
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise BundleError(f"cannot run uv: {error}", hint="pip install 'raybundle[uv]'") from error
    if done.returncode:
        # uv quotes what it cannot parse: whatever stands before an `@` may be a password.
        raise _error(without_credentials(_LOGIN.sub(r"\g<scheme>", done.stderr)))
    return done.stdout


def _error(said: str) -> BundleError:
    if _UNSATISFIABLE in said:
        return NoSolutionError(_reason(said))
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith(_ADVICE)]
    first = next((line for line in lines if line.startswith("error: ")), lines[0] if lines else "it ended")
    text = first.removeprefix("error: ")
    if len(lines) > 1 and lines[-1] != first:
        text += f": {lines[-1].removeprefix('cause: ')}"
    if _HASHES in said:
        return BundleError(
            f"a file of an index does not have the expected hash: {text}",
            hint="lock again if it was replaced there; otherwise remove the file from the caches",
        )
    return BundleError(
        f"uv cannot get the distributions: {text}",
        hint="index, credentials and network are those of uv's configuration, else of pip's",
    )


def _reason(said: str) -> str:
    """Returns on one line why there is no solution: the cause, and a hint that says which wheels exist."""
    cause = re.search(r"cause: (.*?)(?:\n\s*\n|\Z)", said, re.DOTALL)
    hint = re.search(r"hint: (You require .*?)(?:\n\s*\n|\Z)", said, re.DOTALL)
    texts = [" ".join(found[1].split()) for found in (cause, hint) if found]
    return "; ".join(texts) or " ".join(said.split())
