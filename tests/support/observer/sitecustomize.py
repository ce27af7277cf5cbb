"""Notes each file below a directory whose code a Python process runs, in the moment that it does.

The audit event `exec` shows `import`, `import_module`, `runpy` and loaders that leave `sys.modules` alone,
and needs no orderly end of the process; `sys.modules` at exit is noted too, so that neither stands alone.
"""

from __future__ import annotations

import atexit
import os
import sys
from types import CodeType

NOTES, BELOW = os.environ["OBSERVER_NOTES"], os.environ["OBSERVER_BELOW"]


def note(file: str) -> None:
    if file.startswith(BELOW):
        notes = os.open(NOTES, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(notes, f"{file}\n".encode())
        os.close(notes)


def watch(event: str, arguments: tuple[object, ...]) -> None:
    if event == "exec" and isinstance(code := arguments[0], CodeType) and code.co_name == "<module>":
        note(code.co_filename)


def note_modules() -> None:
    for module in list(sys.modules.values()):
        note(getattr(module, "__file__", None) or "")


sys.addaudithook(watch)
atexit.register(note_modules)
