"""Writes down each file below a directory at the moment when a Python process runs its code.

The audit event `exec` shows `import`, `import_module`, `runpy` and loaders that leave `sys.modules` alone. It
does not need an orderly exit. `sys.modules` at exit is recorded too, as a second source. Files that are
opened for reading follow the word `opened`.
"""

from __future__ import annotations

import atexit
import os
import sys
from types import CodeType

NOTES, BELOW = os.environ["OBSERVER_NOTES"], os.environ["OBSERVER_BELOW"]


def note(file: str, how: str = "") -> None:
    if file.startswith(BELOW):
        notes = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(notes, f"{how}{file}\n".encode())
        os.close(notes)


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "exec" and isinstance(code := arguments[0], CodeType) and code.co_name == "<module>":
        note(code.co_filename)
    if event == "open" and isinstance(arguments[0], (str, bytes)) and set(str(arguments[1])) & {"r", "N"}:
        note(os.path.abspath(os.fsdecode(arguments[0])), "opened ")  # noqa: PTH100 - links stay as they are


def note_modules() -> None:
    for module in list(sys.modules.values()):
        note(getattr(module, "__file__", None) or "")


sys.addaudithook(watch)
atexit.register(note_modules)
