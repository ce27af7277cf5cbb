"""Makes a node's view of the disk. It runs by path inside the node's namespaces, and then keeps them alive.

Standard library only, and no import from the repository: this process outlives the source tree.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TypedDict

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC = 0x1, 0x20, 0x1000, 0x4000
"""Flags of mount(2), from linux/mount.h."""


class View(TypedDict):
    """A node's view, from the command line as JSON."""

    hostname: str
    hosts: str
    """The text of the node's /etc/hosts."""
    hidden: list[str]
    """Directories behind an empty tmpfs of the node's own."""
    kept: list[str]
    """Directories that stay visible (read-only) even below a hidden one."""
    env: list[str]
    """The environment with Ray, and its mount point in the node."""


def mount(source: str, target: str, kind: str | None = None, flags: int = 0) -> None:
    """Calls mount(2). mount(8) would resolve `/proc/self/fd/N` to a path that is hidden by then."""
    libc = ctypes.CDLL(None, use_errno=True)
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    if libc.mount(*encoded, ctypes.c_ulong(flags), None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def is_below(path: str, parents: list[str]) -> bool:
    return any(Path(parent) in Path(path).parents for parent in parents)


def bind(descriptor: int, path: str) -> None:
    """Binds an open directory to `path`, read-only, and closes it."""
    Path(path).mkdir(parents=True, exist_ok=True)
    mount(f"/proc/self/fd/{descriptor}", path, flags=MS_BIND | MS_REC)
    mount("none", path, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
    os.close(descriptor)


def hide(hidden: list[str], kept: list[str]) -> None:
    """Hides directories behind an empty tmpfs, and binds the kept ones below them back to their places."""
    opened = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in kept if is_below(path, hidden)}
    for path in sorted(hidden):
        if not is_below(path, hidden):
            mount("tmpfs", path, "tmpfs")
    for path, descriptor in sorted(opened.items()):
        bind(descriptor, path)


def write_hosts(text: str) -> None:
    hosts = Path("/tmp/hosts")
    hosts.write_text(text, encoding="utf-8")
    mount(str(hosts), "/etc/hosts", flags=MS_BIND)


def main() -> None:
    view: View = json.loads(sys.argv[1])
    socket.sethostname(view["hostname"])
    source, target = view["env"]
    env = os.open(source, os.O_PATH | os.O_DIRECTORY)
    hide(view["hidden"], view["kept"])
    bind(env, target)
    os.chdir("/tmp")  # the directory we came from still shows what is hidden
    write_hosts(view["hosts"])
    Path("/tmp/home").mkdir()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main()
