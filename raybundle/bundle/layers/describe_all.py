"""Layers: the files of one distribution each, identified by their content and stored once."""

from __future__ import annotations

import os.path
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.bundle.layers.describe import describe, keep_document, kept_document, with_record
from raybundle.bundle.layers.layer import Layer
from raybundle.errors import RefusedFileError
from raybundle.formats.lists import first_of
from raybundle.model import Warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from raybundle.bundle.layers.describe import Description
    from raybundle.cache.documents import ScanCache
    from raybundle.model import Distribution, Interpreter

_SHOWN = 3
"""Files that a warning names; a tool that edits installed sources edits hundreds."""


def describe_layers(
    distributions: Iterable[Distribution],
    interpreter: Interpreter,
    cache: ScanCache,
    exclude: Iterable[str] = (),
) -> tuple[Layer, ...]:
    """Returns the layers of the distributions that travel with the bundle, sorted by name.

    Args:
        distributions: all that the job needs.
        interpreter: in whose environment they are installed.
        cache: where descriptions are kept.
        exclude: patterns; no warning is given about a file that is left out and that one of them names.

    Raises:
        RefusedFileError: files that RECORD lists are missing or lead elsewhere, or it cannot be read, or one
            is where another distribution has a folder; all distributions of which that is true are named.
    """
    found, refused = [], []
    for each in sorted(distributions, key=lambda each: each.name):
        if each.provided_by == "bundle":
            try:
                found.append(describe(each, cache))
            except RefusedFileError as error:
                refused.append((each, error))
    if refused:
        raise RefusedFileError(
            "cannot take " + "\n            ".join(str(error) for _, error in refused), hint=_mend(refused)
        )
    layers = _settled(found, interpreter.site, cache)
    return tuple(_with_what_is_left(layer, each, exclude) for layer, each in zip(layers, found, strict=True))


def _with_what_is_left(layer: Layer, each: Description, exclude: Iterable[str]) -> Layer:
    """Returns a layer with a warning about the files that do not travel, unless all of them are excluded."""
    from raybundle.resolve.files.data_files import path_expression  # noqa: PLC0415 - a warm start needs none of it

    expressions = [path_expression(pattern) for pattern in exclude]

    def counted(paths: Sequence[str]) -> list[str]:
        return [path for path in paths if not any(pattern.match(path) for pattern in expressions)]

    warnings = (
        *_left_warnings(
            each, counted(each.start_up), "is left out: what it does at start-up, a node does not"
        ),
        *_left_warnings(each, counted(each.outside), "lies outside of site-packages and is left out"),
    )
    return replace(layer, warnings=(*layer.warnings, *warnings))


def _mend(refused: Sequence[tuple[Distribution, RefusedFileError]]) -> str | None:
    """Returns what to do; to install again what is as its author made it is of no use."""
    names = " ".join(f"{each.name}=={each.version}" for each, error in refused if error.hint is None)
    if not names:
        return refused[0][1].hint
    return (
        f"reinstall what is named: pip install --force-reinstall --no-deps {names} (with uv: "
        "--reinstall --link-mode copy); or name it in `cluster-provides`"
    )


def _settled(found: Sequence[Description], sites: Sequence[str], cache: ScanCache) -> Iterator[Layer]:
    """Yields the layers once each path that two distributions claim belongs to one of them."""
    names = {each.name for each in found}
    elsewhere = _shadowed(found, sites, cache)
    for each in found:
        theirs = {
            differing.path: differing.owners
            for differing in each.differing
            if not names.isdisjoint(differing.owners)
        }
        odd = [differing.path for differing in each.differing if differing.path not in theirs]
        layer = _without(each, {*theirs, *elsewhere.get(each.name, {})}, cache)
        warnings = (
            *_warnings(each, odd, "is not what RECORD says: it travels as it is"),
            *(
                warning
                for owner in sorted({owner for owners in theirs.values() for owner in owners} & names)
                for warning in _warnings(
                    each,
                    [path for path, owners in theirs.items() if owner in owners],
                    f"was written over by {owner}, with which it travels",
                )
            ),
            *_shadowed_warnings(each, elsewhere.get(each.name, {})),
        )
        yield replace(layer, warnings=warnings)


def _shadowed(
    found: Sequence[Description], sites: Sequence[str], cache: ScanCache
) -> dict[str, dict[str, str]]:
    """Returns which files another site directory has otherwise, earlier on the path: path and site, by name.

    On a node all layers are one directory; here Python takes the first.
    """
    if len({each.site for each in found}) < 2:  # noqa: PLR2004 - one directory holds one file of a name
        return {}
    places = {site: number for number, site in enumerate(sites)}
    first: dict[str, tuple[Description, str]] = {}
    shadowed: dict[str, dict[str, str]] = {}
    for each in sorted(found, key=lambda each: places.get(each.site, len(places))):
        for file in kept_document(each.digest, cache).files:
            owner, sha256 = first.setdefault(file.path, (each, file.sha256))
            if owner.site != each.site and sha256 != file.sha256:
                shadowed.setdefault(each.name, {})[file.path] = owner.site
    _refuse_clashes({path: owner for path, (owner, _) in first.items()})
    return shadowed


def _refuse_clashes(owners: Mapping[str, Description]) -> None:
    """Refuses a file of one distribution where another has a folder, as every node would."""
    folders = {path[:i]: path for path in owners for i, character in enumerate(path) if character == "/"}
    clashes = [
        f"{path}: a file of {_titled(owners[path])} in {owners[path].site}, and a folder of "
        f"{_titled(owners[folders[path]])} in {owners[folders[path]].site}"
        for path in sorted(folders.keys() & owners.keys())
    ]
    if clashes:
        more = [f"and {len(clashes) - _SHOWN} more"] if len(clashes) > _SHOWN else []
        raise RefusedFileError(
            "cannot take " + "\n            ".join([*clashes[:_SHOWN], *more]),
            hint="on a node all distributions are in one directory: uninstall one of them, or name it in "
            "`cluster-provides`",
        )


def _titled(each: Description) -> str:
    return f"{each.name} {each.version}"


def _without(each: Description, dropped: set[str], cache: ScanCache) -> Layer:
    """Returns the layer of a distribution without some of its files."""
    layer = Layer(
        each.name, each.version, each.digest, each.native, each.bytes, Path(each.site), each.source_bytes
    )
    if not dropped:
        return layer
    document = kept_document(each.digest, cache)
    own = document.record_path
    files = with_record([file for file in document.files if file.path not in {own, *dropped}], own)
    return replace(
        layer,
        digest=keep_document(replace(document, files=files), cache),
        bytes=sum(file.size for file in files),
    )


def _shadowed_warnings(each: Description, shadowed: dict[str, str]) -> Iterator[Warning]:
    for site in sorted(set(shadowed.values())):
        paths = [path for path, earlier in shadowed.items() if earlier == site]
        yield from _warnings(each, paths, f"is also in {site}, which comes first, and travels from there")


def _left_warnings(each: Description, paths: Sequence[str], what: str) -> Iterator[Warning]:
    """Yields one warning about files that do not travel, if there are any."""
    if paths:
        yield Warning(
            f"{first_of(paths, _SHOWN)} of {each.name} {each.version} {what}",
            file=Path(os.path.normpath(f"{each.site}/{paths[0]}")),
            hint=f"if the job needs it, install {each.name} on the nodes and name it in `cluster-provides`; "
            f"else name {first_of(paths, _SHOWN)} in `exclude`",
        )


def _warnings(each: Description, paths: Sequence[str], what: str) -> Iterator[Warning]:
    """Yields one warning about files of a distribution, if there are any."""
    if not paths:
        return
    yield Warning(
        f"{first_of(sorted(paths), _SHOWN)} of {each.name} {each.version} {what}",
        file=Path(each.site, min(paths)),
        hint=f"reinstall it: pip install --force-reinstall --no-deps {each.name}=={each.version}",
    )
