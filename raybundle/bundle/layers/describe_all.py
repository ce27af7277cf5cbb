"""Describes all layers of a bundle, and settles files that several distributions claim."""

from __future__ import annotations

import os.path
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.bundle.layers.describe import describe, keep_document, kept_document, needs_of, with_record
from raybundle.bundle.layers.layer import Layer
from raybundle.errors import DamagedCacheError, RefusedFileError
from raybundle.formats.lists import first_of
from raybundle.model import Warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from raybundle.bundle.layers.describe import Description
    from raybundle.cache.documents import Cache
    from raybundle.model import Distribution, Interpreter

_SHOWN = 3
"""Files that a warning lists; a tool that edits installed sources edits hundreds."""


def describe_layers(
    distributions: Iterable[Distribution],
    interpreter: Interpreter,
    cache: Cache,
    exclude: Iterable[str] = (),
) -> tuple[Layer, ...]:
    """Returns the layers of the bundled distributions, sorted by name.

    Args:
        distributions: all that the job needs.
        interpreter: in whose environment they are installed.
        cache: keeps descriptions.
        exclude: patterns of files that may be left out without a warning.

    Raises:
        RefusedFileError: RECORD cannot be read, or its files are missing or lead out of the directory, or one
            has the name of another distribution's folder. The error names all such distributions.
    """
    found, refused = [], []
    bundled = sorted(
        (each for each in distributions if each.provided_by == "bundle"), key=lambda each: each.name
    )
    for each in bundled:
        try:
            found.append(describe(each, cache))
        except RefusedFileError as error:  # noqa: PERF203 - a distribution each
            refused.append((each, error))
    if refused:
        raise RefusedFileError(
            "cannot take " + "\n            ".join(str(error) for _, error in refused), hint=_hint(refused)
        )
    try:
        layers = tuple(_settled(found, interpreter.site, cache))
    except DamagedCacheError:
        layers = tuple(_settled([describe(each, cache) for each in bundled], interpreter.site, cache))
    known = {each.name: each for each in found}
    return tuple(
        _with_what_is_left(layer, each, known, exclude) for layer, each in zip(layers, found, strict=True)
    )


def _with_what_is_left(
    layer: Layer, each: Description, known: Mapping[str, Description], exclude: Iterable[str]
) -> Layer:
    """Returns a layer with a warning about files that are left out and that no pattern excludes."""
    from raybundle.resolve.files.data_files import path_expression  # noqa: PLC0415 - a warm start needs none of it

    expressions = [path_expression(pattern) for pattern in exclude]

    def counted(paths: Iterable[str]) -> list[str]:
        return [path for path in paths if not any(pattern.match(path) for pattern in expressions)]

    warnings = (
        *(_owned_twice(each, other, paths) for other, paths in _overwritten(each, known, counted)),
        *_left_warnings(each, counted(each.start_up), "is left out: nodes do not run it at start-up"),
        *_left_warnings(each, counted(each.outside), "is outside site-packages and is left out"),
    )
    return replace(layer, warnings=(*layer.warnings, *warnings))


def _overwritten(
    each: Description, known: Mapping[str, Description], counted: Callable[[Iterable[str]], list[str]]
) -> Iterator[tuple[Description, list[str]]]:
    """Yields the bundled distributions that were installed over files of another one, and those files."""
    for name in sorted(known):
        paths = counted(one.path for one in each.differing if name in one.owners)
        if paths:
            yield known[name], paths


def _owned_twice(each: Description, other: Description, paths: Sequence[str]) -> Warning:
    named = first_of(sorted(paths), _SHOWN)
    patterns = ", ".join(f'"{pattern}"' for pattern in _patterns(paths))
    return Warning(
        f"{named} belongs to {_titled(each)} and to {_titled(other)}: the environment, and so the bundle, "
        f"has the content of {other.name}, which was installed last",
        file=Path(each.site, min(paths)),
        hint=f"uninstall the one that the job does not need, then reinstall the other; or, if the job runs "
        f"with this content here, `exclude = [{patterns}]` in [tool.raybundle] leaves out that of "
        f"{each.name}",
    )


def _patterns(paths: Sequence[str]) -> list[str]:
    """Returns patterns for `exclude`: the paths if they are few, else the folder that has all of them."""
    folder = os.path.commonpath(paths) if len(paths) > _SHOWN else ""
    return [folder] if folder else sorted(paths)


def _hint(refused: Sequence[tuple[Distribution, RefusedFileError]]) -> str | None:
    """Returns the hint: reinstall, except what its author published in this state."""
    names = " ".join(f"{each.name}=={each.version}" for each, error in refused if error.hint is None)
    if not names:
        return refused[0][1].hint
    return (
        f"reinstall what is named: pip install --force-reinstall --no-deps {names} (with uv: "
        "--reinstall --link-mode copy); or name it in `cluster-provides`"
    )


def _settled(found: Sequence[Description], sites: Sequence[str], cache: Cache) -> Iterator[Layer]:
    """Yields the layers; a path that two distributions claim is in one of them."""
    names = {each.name for each in found}
    elsewhere = _shadowed(found, sites, cache)
    for each in found:
        shadowed = elsewhere.get(each.name, {})
        theirs = {one.path for one in each.differing if not names.isdisjoint(one.owners)}
        warnings = tuple(_oddities(each, names, shadowed))
        yield replace(_without(each, {*theirs, *shadowed}, cache), warnings=warnings)


def _oddities(each: Description, names: set[str], shadowed: Mapping[str, str]) -> Iterator[Warning]:
    odd = [one.path for one in each.differing if names.isdisjoint(one.owners)]
    yield from _warnings(each, odd, "differs from RECORD and is bundled as it is")
    for site in sorted(set(shadowed.values())):
        paths = [path for path, earlier in shadowed.items() if earlier == site]
        yield from _warnings(
            each, paths, f"is also in {site}, which comes first on the path, and is bundled from there"
        )


def _shadowed(found: Sequence[Description], sites: Sequence[str], cache: Cache) -> dict[str, dict[str, str]]:
    """Returns by distribution the files that an earlier site directory has with other content, and that site.

    On a node, all layers are in one directory. Here, Python takes the first on the path.
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
    """Refuses a file of one distribution that has the path of another's folder: no node can have both."""
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


def _without(each: Description, dropped: set[str], cache: Cache) -> Layer:
    """Returns the layer of a distribution without some of its files."""
    layer = Layer(
        each.name,
        each.version,
        each.digest,
        each.native,
        each.bytes,
        Path(each.site),
        each.needs,
        each.source_bytes,
    )
    if not dropped:
        return layer
    document = kept_document(each.digest, cache)
    own = document.record_path
    files = with_record([file for file in document.files if file.path not in {own, *dropped}], own)
    return replace(
        layer,
        digest=keep_document(replace(document, files=files), cache),
        needs=each.needs and needs_of(each.site, files, own),
        bytes=sum(file.size for file in files),
    )


def _left_warnings(each: Description, paths: Sequence[str], what: str) -> Iterator[Warning]:
    """Yields one warning about files that are left out, if there are any."""
    if paths:
        yield Warning(
            f"{first_of(paths, _SHOWN)} of {each.name} {each.version} {what}",
            file=Path(os.path.normpath(f"{each.site}/{paths[0]}")),
            hint=f"if the job needs it, install {each.name} on the nodes and name it in `cluster-provides`; "
            f"else name {first_of(paths, _SHOWN)} in `exclude`",
        )


def _warnings(each: Description, paths: Sequence[str], what: str) -> Iterator[Warning]:
    """Yields one warning about oddities of files, if there are any."""
    if paths:
        yield Warning(
            f"{first_of(sorted(paths), _SHOWN)} of {each.name} {each.version} {what}",
            file=Path(each.site, min(paths)),
            hint=f"reinstall it: pip install --force-reinstall --no-deps {each.name}=={each.version}",
        )
