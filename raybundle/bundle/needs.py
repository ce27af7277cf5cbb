"""What the native files of a bundle need of libc."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.content import opened
from raybundle.formats.archive_paths import is_native
from raybundle.model import ModuleTarget, Warning
from raybundle.resolve.interpreter.libc import need_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from raybundle.bundle.layers.layer import Layer
    from raybundle.model import ArchivePath, CollectedFile, Resolution
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


def guarded_files(resolution: Resolution) -> frozenset[ArchivePath]:
    """Returns the files of modules that load only within `try/except ImportError`, at any distance.

    A node where one of them does not load runs the job as plain Ray would: what they need of libc is not
    needed by the bundle.
    """
    target = resolution.target
    started = {"__main__", target.name if isinstance(target, ModuleTarget) else "__main__"}
    imported = {edge.imported for edge in resolution.edges}
    started |= {module.name for module in resolution.modules if module.name not in imported}
    ways: dict[bool, dict[str, list[str]]] = {False: {}, True: {}}
    for edge in resolution.edges:
        ways[True].setdefault(edge.importer, []).append(edge.imported)
        if not edge.optional:
            ways[False].setdefault(edge.importer, []).append(edge.imported)
    guarded = _reached(started, ways[True]) - _reached(started, ways[False])
    return frozenset(each.path for each in resolution.modules if each.path and each.name in guarded)


def _reached(started: Iterable[str], ways: Mapping[str, Iterable[str]]) -> set[str]:
    found, waiting = set[str](), list(started)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += ways.get(name, ())
    return found


def newer_than_here(
    files: Iterable[CollectedFile], layers: Iterable[Layer], here: Platform, guarded: Collection[ArchivePath]
) -> Iterator[Warning]:
    """Yields a warning for all that needs a newer libc than this machine has.

    Args:
        files: of the bundle.
        layers: likewise.
        here: the platform of this machine.
        guarded: those of the files that the code does without; the others keep the bundle from starting here.
    """
    for path, need in needs_of(files):
        if need.is_newer_than(here):
            pattern = f'`exclude = ["{path.removeprefix("project/")}"]` in [tool.raybundle]'
            hint = f"build it here; or leave it out: `# raybundle: ignore` at its import, and {pattern}"
            yield Warning(_newer(path, need, here, guarded=path in guarded), hint=hint)
    for layer in layers:
        for need in layer.needs:
            if need.is_newer_than(here):
                hint = f"install a build of {layer.name} for this machine, or name it in `cluster-provides`"
                yield Warning(_newer(f"{layer.name} {layer.version}", need, here), hint=hint)


def _newer(what: str, need: Need, here: Platform, *, guarded: bool = False) -> str:
    has = "{}.{}".format(*(here.floor or (0, 0)))
    needs = f"{what} needs {need}, and this machine has {has}"
    if guarded:
        return f"{needs}: it does not load on nodes like it, and the code that imports it catches that"
    return f"{needs}: nodes like it refuse the bundle"
