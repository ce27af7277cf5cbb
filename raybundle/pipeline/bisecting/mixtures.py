"""The differences between two bundles or runs, and bundles that have some of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from raybundle.bundle.delivery import Delivery, parse_delivery
from raybundle.bundle.manifest import format_manifest
from raybundle.bundle.pack import pack
from raybundle.bundle.rules import broken_rules
from raybundle.bundle.values import LayerEntry, Manifest
from raybundle.formats.archive_paths import is_native
from raybundle.formats.canonical import digest_of
from raybundle.model import CollectedFile, Digest, RootSymbol
from raybundle.node.cache.raybundle_record import LARGE
from raybundle.publish import layout, putting
from raybundle.publish.content.pulling import opened_archive
from raybundle.resolve.interpreter.libc import newest
from raybundle.submission.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from raybundle.bundle.values import Provided, PythonTag
    from raybundle.publish.content.objects import Shelf
    from raybundle.publish.stored import Stored

Kind = Literal["distribution", "path", "python", "target", "arguments", "env", "option", "file"]
OPTIONS = ("cwd", "secrets", "resources", "runtime_env")
"""What else of a run decides how its job goes, as `JobOptions` and the record name it."""


class Difference(NamedTuple):
    """One thing that a mixture takes from the good or from the bad side."""

    kind: Kind
    name: str
    text: str
    """As a line of a report."""


@dataclass(frozen=True, slots=True)
class Side:
    """A bundle, and how it is run."""

    stored: Stored
    options: JobOptions = field(default_factory=JobOptions)


@dataclass(frozen=True, slots=True)
class Mixture:
    """What is run: the good side with some differences of the bad one."""

    manifest: Manifest
    options: JobOptions
    fault: str | None = None
    """Why there is no such bundle."""

    @property
    def key(self) -> str:
        """Names it, whoever makes it."""
        text = repr((digest_of(format_manifest(self.manifest)), *facts_of(self.options)))
        return hashlib.sha256(text.encode()).hexdigest()


def facts_of(options: JobOptions) -> list[Any]:
    """Returns what of a job's options can differ between two runs, in one order."""
    return [options.arguments, *(_plain(getattr(options, name)) for name in ("env", *OPTIONS))]


def _plain(value: Any) -> Any:
    return sorted(value.items()) if isinstance(value, Mapping) else value


def differences(good: Side, bad: Side) -> tuple[Difference, ...]:
    """Returns what differs, in the order in which it is divided: what belongs together is adjacent."""
    old, new = good.stored.manifest, bad.stored.manifest
    found = [
        Difference("distribution", name, f"{name} {_version(before)} -> {_version(after)}")
        for name, before, after in _differing(_distributions(old), _distributions(new))
    ]
    if _without_layers(old.path) != _without_layers(new.path):
        found.append(Difference("path", "path", f"path {', '.join(old.path)} -> {', '.join(new.path)}"))
    before, after = (f"{each.python.implementation} {each.python.minor}" for each in (old, new))
    if before != after:
        found.append(Difference("python", "python", f"python {before} -> {after}"))
    if old.target != new.target:
        found.append(Difference("target", "target", f"target {old.target} -> {new.target}"))
    found += _differing_options(good.options, bad.options)
    files = [{str(each.path): each for each in side.files} for side in (old, new)]
    found += [
        Difference("file", name, f"{'~' if before and after else '+' if after else '-'} {name}")
        for name, before, after in _differing(files[0], files[1])
    ]
    return tuple(found)


def _differing_options(good: JobOptions, bad: JobOptions) -> Iterator[Difference]:
    if good.arguments != bad.arguments:
        yield Difference("arguments", "arguments", f"arguments {good.arguments} -> {bad.arguments}")
    for name, before, after in _differing(dict(good.env), dict(bad.env)):
        yield Difference("env", name, f"env {name}: {before} -> {after}")
    for name in OPTIONS:
        before, after = getattr(good, name), getattr(bad, name)
        if before != after:
            yield Difference("option", name, f"{name} {before or 'none'} -> {after or 'none'}")


def mix(good: Side, bad: Side, chosen: Collection[Difference]) -> Mixture:
    """Returns the good side with the chosen differences of the bad one."""
    old, new = good.stored.manifest, bad.stored.manifest
    names = {kind: {each.name for each in chosen if each.kind == kind} for kind in get_args(Kind)}
    distributions = _mixed(_distributions(old), _distributions(new), names["distribution"])
    files = [{str(each.path): each for each in side.files} for side in (old, new)]
    layers = tuple(each for _, each in sorted(distributions.items()) if isinstance(each, LayerEntry))
    provided = tuple(each for _, each in sorted(distributions.items()) if not isinstance(each, LayerEntry))
    manifest = Manifest(
        target=(new if names["target"] else old).target,
        python=(new if names["python"] else old).python,
        path=_path((new if names["path"] else old).path, bool(layers), (old.path, new.path)),
        files=tuple(each for _, each in sorted(_mixed(files[0], files[1], names["file"]).items())),
        provided=provided,
        layers=layers,
    )
    manifest = replace(manifest, python=_python(manifest, old, new))
    faults = broken_rules(manifest)
    return Mixture(manifest, _mixed_options(good.options, bad.options, names), "; ".join(faults) or None)


def _mixed_options(good: JobOptions, bad: JobOptions, names: Mapping[str, set[str]]) -> JobOptions:
    return replace(
        good,
        arguments=(bad if names["arguments"] else good).arguments,
        env=_mixed(dict(good.env), dict(bad.env), names["env"]),
        **{name: getattr(bad, name) for name in names["option"]},
    )


def store_mixture(shelf: Shelf, mixture: Mixture, good: Stored, bad: Stored) -> Digest:
    """Puts the bundle of a mixture into the store, from the archives of both sides; returns its digest."""
    data = format_manifest(mixture.manifest)
    digest = digest_of(data)
    if digest in {good.digest, bad.digest} or shelf.store.size(layout.manifest_key(digest)) is not None:
        return digest
    collected: dict[str, CollectedFile] = {}
    deliveries = []
    for side in (good, bad):
        with opened_archive(shelf, side) as archive:
            known = set(side.manifest.files)
            for file in mixture.manifest.files:
                if file in known and str(file.path) not in collected:
                    # A large file is an object of its own, which the store has.
                    source = b"" if file.size > LARGE else b"".join(archive.pieces(file))
                    collected[str(file.path)] = CollectedFile(
                        file.path, file.executable, file.size, file.sha256, source
                    )
            if archive.has_delivery:
                deliveries.append(parse_delivery(archive.delivery(), archive.where))
    delivery = _delivery(deliveries, mixture.manifest.layers)
    files = [collected[str(file.path)] for file in mixture.manifest.files]
    with closing(pack(data, files, delivery)) as packed:
        key, content = layout.archive_key(digest, packed.boot, packed.sha256), packed.data
    if delivery is not None:
        putting.put_compared(shelf.store, layout.delivery_key(key), delivery)
    putting.put_compared(shelf.store, key, content)
    putting.put_compared(shelf.store, layout.manifest_key(digest), data)
    return digest


def _delivery(found: Sequence[Delivery], layers: Iterable[LayerEntry]) -> bytes | None:
    """Returns how the layers of a mixture travel, from how they travel on both sides."""
    if not found:
        return None
    names = {each.digest.removeprefix("sha256:") for each in layers}
    byte_code = {key: value for each in found for key, value in each.byte_code.items() if key in names}
    archives = {
        key: value for each in found for key, value in each.archives.items() if key.partition("-")[0] in names
    }
    return Delivery(found[0].absent, byte_code, archives).format()


def _distributions(manifest: Manifest) -> dict[str, LayerEntry | Provided]:
    found: list[LayerEntry | Provided] = [*manifest.provided, *manifest.layers]
    return {each.name: each for each in found}


def _version(item: LayerEntry | Provided | None) -> str:
    return "(none)" if item is None else item.version or "(any)"


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    names = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
    return [(name, old.get(name), new.get(name)) for name in names]


def _mixed(old: Mapping[str, Any], new: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    kept = {name: value for name, value in old.items() if name not in names}
    return kept | {name: value for name, value in new.items() if name in names}


def _python(mixed: Manifest, *sides: Manifest) -> PythonTag:
    """Returns the Python of a mixture, with the platform and the libc that its native files may need."""
    wanted = mixed.python.implementation, mixed.python.minor
    alike = [side for side in sides if (side.python.implementation, side.python.minor) == wanted]
    for side in alike:
        if (mixed.files, mixed.layers) == (side.files, side.layers):
            return side.python
    native = mixed.layers or any(is_native(file.path) for file in mixed.files)
    tags = [side.python for side in alike if side.python.abi] if native else []
    tag = next((each for each in tags if each.abi == mixed.python.abi), (tags or [mixed.python])[0])
    return replace(tag, libc=newest(each.libc for each in tags if each.libc))


def _without_layers(path: Iterable[RootSymbol]) -> list[RootSymbol]:
    return [each for each in path if each != "layers"]


def _path(
    path: tuple[RootSymbol, ...], has_layers: bool, both: tuple[tuple[RootSymbol, ...], ...]
) -> tuple[RootSymbol, ...]:
    """Returns a path that has layers if and only if there are some, where one of the sides has them."""
    symbol = RootSymbol("layers")
    if not has_layers:
        return tuple(_without_layers(path))
    if symbol in path:
        return path
    other = next((each for each in both if symbol in each), path)
    after = other[other.index(symbol) + 1] if symbol in other else RootSymbol("ray")
    at = path.index(after) if after in path else len(path) - 1
    return (*path[:at], symbol, *path[at:])
