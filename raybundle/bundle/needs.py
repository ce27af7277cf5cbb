"""What the native files of a bundle need of libc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.content import opened
from raybundle.formats.archive_paths import is_native
from raybundle.model import Warning
from raybundle.resolve.interpreter.libc import need_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.bundle.layers.layer import Layer
    from raybundle.model import ArchivePath, CollectedFile
    from raybundle.resolve.interpreter.libc import Need
    from raybundle.resolve.interpreter.platforms import Platform


def needs_of(files: Iterable[CollectedFile]) -> Iterator[tuple[ArchivePath, Need]]:
    """Yields the native files among these that need a libc.

    Raises:
        BundleError: a file changed after it was hashed.
    """
    for file in files:
        if is_native(file.path):
            with opened(file) as stream:
                need = need_of(stream)
            if need is not None:
                yield file.path, need


def newer_than_here(
    files: Iterable[CollectedFile], layers: Iterable[Layer], here: Platform
) -> Iterator[Warning]:
    """Yields a warning for all that needs a newer libc than this machine has: the bundle does not start here.

    Args:
        files: of the bundle.
        layers: likewise.
        here: the platform of this machine.
    """
    for path, need in needs_of(files):
        if need.is_newer_than(here):
            pattern = f'`exclude = ["{path.removeprefix("project/")}"]` in [tool.raybundle]'
            hint = f"build it here; or leave it out: `# raybundle: ignore` at its import, and {pattern}"
            yield Warning(_newer(path, need, here), hint=hint)
    for layer in layers:
        for need in layer.needs:
            if need.is_newer_than(here):
                hint = f"install a build of {layer.name} for this machine, or name it in `cluster-provides`"
                yield Warning(_newer(f"{layer.name} {layer.version}", need, here), hint=hint)


def _newer(what: str, need: Need, here: Platform) -> str:
    has = "{}.{}".format(*(here.floor or (0, 0)))
    return f"{what} needs {need}, and this machine has {has}: nodes like it refuse the bundle"
