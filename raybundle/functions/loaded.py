"""Compares what this process has loaded with what a bundle's workers will import."""

from __future__ import annotations

import contextlib
import hashlib
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import Warning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

    from raybundle.bundle.values import Manifest
    from raybundle.model import Digest, Resolution, RootSymbol

_OWN = frozenset(["__main__", "__mp_main__"])
"""Modules that workers do not import by their names."""


def found_elsewhere(resolution: Resolution) -> tuple[Warning, ...]:
    """Returns a warning for each module that this process has from another file than the workers."""
    found = []
    for module in resolution.modules:
        file = getattr(sys.modules.get(module.name), "__file__", None)
        if module.name in _OWN or module.file is None or file is None:
            continue
        if Path(file).resolve() != module.file.resolve():
            text = f"this driver has `{module.name}` from {file}, and its workers have it from {module.file}"
            depth = module.name.count(".") + (module.file.stem == "__init__")
            hint = f"put {module.file.parents[depth]} before other directories on the driver's `sys.path`"
            found.append(Warning(text, module.file, None, hint))
    return tuple(found)


def other_files(digest: Digest, manifest: Manifest) -> tuple[Warning, ...]:
    """Returns a warning for each module that this process has from other bytes than those of a stored bundle.

    Args:
        digest: of the bundle.
        manifest: of the bundle.
    """
    hashes: dict[str, str] = {each.path: each.sha256 for each in manifest.files}
    found = []
    pull = f"`raybundle pull {digest} DIR`"
    hint = f"put the files of {pull} before other directories on the driver's `sys.path`"
    for name, file in _loaded().items():
        paths = [each for each in _paths(name, manifest.path) if each in hashes]
        if name not in _OWN and paths and _sha256(file) != hashes[paths[0]]:
            text = f"this driver has `{name}` from {file}, which is not {paths[0]} of {digest}"
            found.append(Warning(text, Path(file), None, hint))
    return tuple(found)


def other_versions(manifest: Manifest) -> tuple[Warning, ...]:
    """Returns a warning for each distribution that is loaded here in another version than the bundle's."""
    loaded, found = {*_loaded().values()}, []
    for layer in manifest.layers:
        with contextlib.suppress(PackageNotFoundError):
            here, wanted = distribution(layer.name), layer.version
            if here.version != wanted and not loaded.isdisjoint(_files(here)):
                text = f"this driver has {layer.name} {here.version} loaded, and its workers have {wanted}"
                hint = f"install {layer.name}=={wanted} where the driver runs"
                found.append(Warning(text, None, None, hint))
    return tuple(found)


def _loaded() -> dict[str, str]:
    """Returns the file of each module that this process has loaded from one."""
    files = {name: getattr(module, "__file__", None) for name, module in [*sys.modules.items()]}
    return {name: file for name, file in files.items() if isinstance(file, str)}


def _paths(name: str, path: tuple[RootSymbol, ...]) -> Iterator[str]:
    """Yields where in a bundle a module may be, in the order of its path."""
    for symbol in path:
        kind, _, below = symbol.partition(":")
        if kind in {"project", "root"}:
            head, _, rest = below.partition(":") if kind == "root" else ("", "", below)
            parts = [f"root-{head}" if head else kind, *([rest] if rest not in {"", "."} else [])]
            place = "/".join([*parts, *name.split(".")])
            yield from (f"{place}/__init__.py", f"{place}.py")


def _sha256(file: str) -> str | None:
    """Returns the hash of a file; None if it cannot be read, as in an archive."""
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return None


def _files(found: Distribution) -> Iterator[str]:
    return (str(found.locate_file(each)) for each in found.files or ())
