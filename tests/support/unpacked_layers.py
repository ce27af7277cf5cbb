"""Handmade layers as in docs/format.md, unpacked as Ray does it on a node."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raybundle.bundle.values import LayerEntry
from raybundle.model import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.support.booting import Unpacked

COMPILE = """
import importlib.util, importlib._bootstrap_external as external, json, sys
path, text = sys.argv[1], sys.argv[2]
code = compile(text, path, "exec", dont_inherit=True)
data = external._code_to_hash_pyc(code, importlib.util.source_hash(text.encode()), False)
print(json.dumps([external.cache_from_source(path), data.hex()]))
"""


@dataclass(frozen=True, slots=True)
class HandMade:
    """A layer, and the members of its archives by name."""

    entry: LayerEntry
    members: Mapping[str, bytes]
    byte_code: str | None = None
    """`<cache tag>-<listing hex>`, if it has an archive of byte-code."""

    @property
    def hex(self) -> str:
        """The digest without `sha256:`."""
        return self.entry.digest.removeprefix("sha256:")

    def unpack(self, directory: Path) -> list[Path]:
        """Unpacks the archives like Ray and returns the directories: one per part, with the document."""
        whole = [name for name in self.members if name.endswith(".zip")]
        documents = [f"{name.removesuffix('.zip')}.json" for name in whole]
        packages = {self.hex[:16]: [*documents, *whole]} if whole else {}
        for name in self.members:
            if name[-3:].isdecimal():
                packages[name] = [f"{name[:-8]}.json", name]
        return [self._unpack_one(directory / "py_modules_files" / each, packages[each]) for each in packages]

    def _unpack_one(self, place: Path, names: Sequence[str]) -> Path:
        place.mkdir(parents=True)
        for name in names:
            (place / name).write_bytes(self.members[name])
        return place

    def in_parts(self, size: int) -> HandMade:
        """Returns it with each archive cut into parts of `size` bytes, like one of more than 90 MiB."""
        members: dict[str, bytes] = {}
        for name, data in self.members.items():
            step = size if name.endswith(".zip") else len(data)
            for number, start in enumerate(range(0, len(data), step)):
                part = f"{name}.{number:03}" if name.endswith(".zip") else name
                members[part] = data[start : start + step]
        return replace(self, members=members)


def make_layer(name: str, files: Mapping[str, str | bytes], executables: Sequence[str] = ()) -> HandMade:
    """Returns the layer of a distribution in version 1.0."""
    content = {path: data.encode() if isinstance(data, str) else data for path, data in files.items()}
    document = canonical(
        {
            "files": [
                {"executable": path in executables, **described(path, content[path])}
                for path in sorted(content)
            ],
            "format": 1,
            "name": name,
            "version": "1.0",
        }
    )
    digest = hashlib.sha256(document).hexdigest()
    members = {f"{digest}.json": document, f"{digest}.zip": zipped(content)}
    return HandMade(LayerEntry(name, "1.0", Digest(f"sha256:{digest}")), members)


def with_byte_code(layer: HandMade, python: Path, compiled: Mapping[str, str]) -> HandMade:
    """Returns the layer with an archive of byte-code, compiled from these texts by the interpreter."""
    files = {}
    for path, text in compiled.items():
        done = subprocess.check_output([python, "-I", "-c", COMPILE, path, text], text=True)
        cached, data = json.loads(done)
        files[cached] = bytes.fromhex(data)
    [tag] = {path.rsplit(".", 2)[1] for path in files}
    magic = next(iter(files.values()))[:4].hex()
    items = [described(path, files[path]) for path in sorted(files)]
    listing = canonical({"files": items, "format": 1, "layer": layer.hex, "magic": magic})
    byte_code = f"{tag}-{hashlib.sha256(listing).hexdigest()}"
    name = f"{layer.hex}-{byte_code}"
    members = {**layer.members, f"{name}.json": listing, f"{name}.zip": zipped(files)}
    return replace(layer, members=members, byte_code=byte_code)


def described(path: str, data: bytes) -> dict[str, Any]:
    """Returns the entry of a file in a document."""
    return {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Returns a zip of the files, deflated."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            archive.writestr(zipfile.ZipInfo(path), files[path], zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def canonical(value: object) -> bytes:
    """Returns canonical JSON (docs/format.md, section 1)."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def archives_of(layer: HandMade) -> dict[str, bytes]:
    """Returns the archives of a layer by their names in a store."""
    stems = [name.removesuffix(".zip") for name in layer.members if name.endswith(".zip")]
    found = {}
    for stem in stems:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name in (f"{stem}.json", f"{stem}.zip"):
                archive.writestr(zipfile.ZipInfo(name), layer.members[name])
        found[stem] = buffer.getvalue()
    return found


def store(node: Unpacked, layers: Sequence[HandMade], directory: Path) -> Unpacked:
    """Returns the node with the layers of its bundle in a store that it reads, and a delivery."""
    archives = {name: data for layer in layers for name, data in archives_of(layer).items()}
    (directory / "layers").mkdir(parents=True)
    for name, data in archives.items():
        (directory / "layers" / f"{name}.zip").write_bytes(data)
    packed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in archives.items()
    }
    byte_code = {layer.hex: layer.byte_code for layer in layers if layer.byte_code}
    delivery = canonical({"absent": {}, "archives": packed, "byte_code": byte_code, "format": 1})
    (node.scratch / ".raybundle" / "delivery.json").write_bytes(delivery)
    environ = {
        **node.environ,
        "RAYBUNDLE_DELIVERY": hashlib.sha256(delivery).hexdigest(),
        "RAYBUNDLE_SOURCE": directory.as_uri(),
    }
    return replace(node, environ=environ)


def deliver(node: Unpacked, layers: Sequence[HandMade], absent: Mapping[str, str] | None = None) -> Unpacked:
    """Returns the node after Ray has fetched the layers of its bundle, with a delivery."""
    byte_code = {layer.hex: layer.byte_code for layer in layers if layer.byte_code}
    delivery = canonical({"absent": absent or {}, "byte_code": byte_code, "format": 1})
    (node.scratch / ".raybundle" / "delivery.json").write_bytes(delivery)
    places = [str(place) for layer in layers for place in layer.unpack(node.scratch.parent)]
    environ = {
        **node.environ,
        "PYTHONPATH": ":".join([*places, str(node.scratch)]),
        "RAYBUNDLE_DELIVERY": hashlib.sha256(delivery).hexdigest(),
    }
    return replace(node, environ=environ)
