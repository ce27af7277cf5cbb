"""Reads the secrets of a job on its node, and puts them into the environment of this process."""

from __future__ import annotations

import os

WAITING = "raybundle-secret "
"""Stands before the reference in the variable of a secret that is not found yet."""
LONGEST_SECRET = (128 << 10) - 1
"""Bytes of `NAME=value`: with a longer one in its environment no process can be started (execve(2))."""


def set_secrets(lines: list[str]) -> dict[str, str]:
    """Puts the value of each secret in the place of its reference; returns the values by name.

    Ray sets the job's variables over those of the node, and a task's own over the job's. So a variable that
    holds its reference waits for the secret; one that holds anything else has it from its parent process, or
    from the task. A secret that the node has under its own name (`env:NAME`) needs no more than to be there.
    """
    found = {}
    for line in lines:
        name, _, reference = line.partition(" ")
        if reference == f"env:{name}":
            waits = "RAYBUNDLE_BOOTED" not in os.environ
        else:
            waits = os.environ.get(name) == WAITING + reference
        if waits:
            scheme, _, place = reference.partition(":")
            value = _read_variable(name, place) if scheme == "env" else _read_secret(name, place)
            os.environb[name.encode()] = value
        if name in os.environ:
            found[name] = os.environ[name]
    return found


def _read_variable(name: str, variable: str) -> bytes:
    if variable not in os.environ:
        raise RuntimeError(f"variable {variable}: expected the secret {name}, found none")
    return os.environb[variable.encode()]


def _read_secret(name: str, file: str) -> bytes:
    """Returns what `file` holds, without one newline at its end; nothing of it gets into an error."""
    try:
        # A pipe that nobody writes to is empty then, and does not hang the job.
        with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as stream:
            data = (stream.read(LONGEST_SECRET + 2) or b"").removesuffix(b"\n")
        found = _fault(data, LONGEST_SECRET - len(name) - 1)
    except OSError as error:
        found = "none" if isinstance(error, FileNotFoundError) else str(error.strerror)
    if found:
        raise RuntimeError(f"file {file}: expected the secret {name}, found {found}")
    return data


def _fault(data: bytes, longest: int) -> str:
    """Returns why no environment variable can hold `data`; empty if one can."""
    if not data:
        return "nothing in it"
    if len(data) > longest:
        return f"more than {longest} bytes"
    if b"\0" in data:
        return "a NUL byte"
    try:
        data.decode()
    except UnicodeDecodeError:
        return "bytes that are not UTF-8"
    return ""
