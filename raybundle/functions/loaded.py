"""Compares the modules that this process has loaded with those that a bundle's workers will import."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import Warning

if TYPE_CHECKING:
    from raybundle.model import Resolution


def found_elsewhere(resolution: Resolution) -> tuple[Warning, ...]:
    """Returns a warning for each module that this process has from another file than the workers."""
    found = []
    for module in resolution.modules:
        file = getattr(sys.modules.get(module.name), "__file__", None)
        if module.name == "__main__" or module.file is None or file is None:
            continue
        if Path(file).resolve() != module.file.resolve():
            text = f"this driver has `{module.name}` from {file}, and its workers have it from {module.file}"
            depth = module.name.count(".") + (module.file.stem == "__init__")
            hint = f"put {module.file.parents[depth]} before other directories on the driver's `sys.path`"
            found.append(Warning(text, module.file, None, hint))
    return tuple(found)
