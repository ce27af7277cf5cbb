"""Reads the job's secrets on the node and puts them into the environment of this process."""

from __future__ import annotations

import os

WAITING = "raybundle-secret "
"""Prefix of a variable whose value is still the reference to its secret."""
LONGEST_SECRET = (128 << 10) - 1
"""Bytes of `NAME=value`: no process can start with a longer variable (execve(2))."""


def set_secrets(lines: list[str]) -> dict[str, str]:
    """Replaces the reference to each secret in the environment by its value, and returns values by name.

    Ray sets the job's variables over the node's, and a task's own over the job's. A variable that is still
    the reference needs its value. Any other value comes from the parent process or from the task. A secret
    in the node's variable of the same name (`env:NAME`) only needs that variable.

    Args:
        lines: name, space and reference of each secret.

    Raises:
        RuntimeError: the node does not have a secret, or an environment variable cannot hold it.
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
    """Returns the content of `file` without a final newline. No error message has a part of it."""
    try:
        # With O_NONBLOCK, a pipe without a writer is empty and does not hang the job.
        with open(file, "rb", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as stream:
            data = (stream.read(LONGEST_SECRET + 2) or b"").removesuffix(b"\n")
        found = _fault(data, LONGEST_SECRET - len(name) - 1)
    except OSError as error:
        found = "none" if isinstance(error, FileNotFoundError) else str(error.strerror)
    if found:
        raise RuntimeError(f"file {file}: expected the secret {name}, found {found}")
    return data


def _fault(data: bytes, longest: int) -> str:
    """Returns why an environment variable cannot hold `data`; empty if it can."""
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
