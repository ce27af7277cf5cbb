"""A node without Ray: an unpacked archive, an interpreter with a package `ray`, processes like Ray's."""

from __future__ import annotations

import atexit
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.bundle.manifest import format_manifest
from raybundle.bundle.pack import BOOT_FILES, Archive, boot_digest, pack
from raybundle.bundle.values import (
    LayerEntry,
    Manifest,
    ManifestFile,
    ModuleEntry,
    Provided,
    PythonTag,
    ScriptEntry,
)
from raybundle.content import read
from raybundle.formats.canonical import digest_of
from raybundle.model import ArchivePath, CollectedFile, RootSymbol
from raybundle.node.cache.raybundle_record import LARGE
from tests.support.collected import collected_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PRIVATE = Path(f"/tmp/raybundle-{os.getuid()}")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """An archive as Ray unpacks it on a node, and the variables of its processes."""

    scratch: Path
    digest: str
    environ: Mapping[str, str]
    private: Path = PRIVATE

    @property
    def tree(self) -> Path:
        """The path of the verified tree."""
        return self.private / "trees" / self.digest.removeprefix("sha256:")

    def run(
        self, python: Path, *words: str, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs an interpreter in the working directory, as a child of a job."""
        return subprocess.run(
            [python, *words],
            cwd=self.scratch,
            env={**self.environ, **(env or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            start_new_session=True,  # as the supervisor does with the driver
        )

    def driver(self, python: Path, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs an interpreter as the supervisor runs the driver."""
        return self.run(python, *words, env={"RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"})


def unpack(
    directory: Path,
    files: Mapping[str, str],
    *,
    python: str | None = None,
    path: Sequence[str] = ("project:.", "stdlib", "ray"),
    provided: Sequence[tuple[str, ...]] = (),
    layers: Sequence[LayerEntry] = (),
    native: tuple[str, str] | None = None,
) -> Unpacked:
    """Packs files into an archive and unpacks it as Ray does; the first file is the target."""
    collected = [collected_file(name, text.encode()) for name, text in files.items()]
    target = next(iter(files))
    manifest = Manifest(
        target=ScriptEntry(ArchivePath(target)) if target.endswith(".py") else ModuleEntry(target),
        python=PythonTag(
            "cpython", python or f"{sys.version_info[0]}.{sys.version_info[1]}", *(native or (None, None))
        ),
        path=tuple(RootSymbol(symbol) for symbol in path),
        files=tuple(ManifestFile(f.path, f.executable, f.size, f.sha256) for f in collected),
        provided=tuple(Provided(*item) for item in provided),
        layers=tuple(sorted(layers, key=lambda layer: layer.name)),
    )
    return unpack_bundle(directory, manifest, collected)


def unpack_bundle(directory: Path, manifest: Manifest, collected: Sequence[CollectedFile]) -> Unpacked:
    """Packs a bundle and unpacks it as Ray does."""
    data = format_manifest(manifest)
    archive = pack(data, collected)
    scratch = directory / "scratch"
    with zipfile.ZipFile(io.BytesIO(archive.data)) as stream:
        stream.extractall(scratch)
    environ = {
        **_environ(scratch, digest_of(data), archive),
        **_put_data(directory / "data store", collected),
    }
    return Unpacked(scratch, digest_of(data), environ)


def _put_data(store: Path, collected: Sequence[CollectedFile]) -> dict[str, str]:
    """Puts large files into a local store; returns the variable that names it, if there are any."""
    large = [file for file in collected if file.size > LARGE]
    for file in large:
        (store / "data").mkdir(parents=True, exist_ok=True)
        (store / "data" / file.sha256).write_bytes(read(file))
    return {"RAYBUNDLE_SOURCE": store.as_uri()} if large else {}


def with_cache_at(node: Unpacked, directory: Path) -> Unpacked:
    """Returns the node with a boot that keeps its cache below `directory`, so that tests do not share one."""
    own = node.scratch / ".raybundle"
    stub = node.scratch / BOOT_FILES[0]
    stub.write_text(stub.read_text().replace('f"/tmp/raybundle-', f'f"{directory}/raybundle-'))
    files = {name: (stub if name == BOOT_FILES[0] else own / name).read_bytes() for name in BOOT_FILES}
    environ = {**node.environ, "RAYBUNDLE_BOOT": boot_digest(files)}
    return replace(node, environ=environ, private=directory / PRIVATE.name)


def _environ(scratch: Path, digest: str, archive: Archive) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(scratch),
        "RAYBUNDLE_DIGEST": digest,
        "RAYBUNDLE_BOOT": archive.boot,
    }


def find_base(version: str) -> str | None:
    """Returns an interpreter of a version such as `3.12`, beside that of the tests or on PATH."""
    name = f"python{version}"
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/{name}"))
    found = str(beside[0]) if beside else shutil.which(name)
    return found if found and _starts(found) else None


def _starts(python: str) -> bool:
    """Returns whether an interpreter starts: a version manager leaves shims that do not."""
    return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0


def make_venv(directory: Path, base: str) -> None:
    """Makes a virtual environment without pip, as a copy of one that each session makes once."""
    shutil.copytree(_made_by_venv(base), directory, symlinks=True, dirs_exist_ok=True)


@cache
def _made_by_venv(base: str) -> Path:
    directory = Path(tempfile.mkdtemp(prefix="raybundle-venv-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    subprocess.run([base, "-m", "venv", "--without-pip", directory], check=True)
    return directory


def make_interpreter(directory: Path, base: str) -> Path:
    """Returns the interpreter of a new environment with a `ray`, its requirements and other packages."""
    make_venv(directory, base)
    [site] = directory.glob("lib/python3*/site-packages")
    install(site, "ray", "2.60.0", "Requires-Dist: needed>=1\nRequires-Dist: extra-only; extra == 'tune'\n")
    (site / "ray" / "thirdparty_files").mkdir()
    (site / "ray" / "__init__.py").write_text(
        "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'thirdparty_files'))\n"
    )
    for name in ("needed", "extra_only", "stray"):
        install(site, name, "1.5")
    (site / "stray.pth").write_text("import stray\n")
    return directory / "bin" / "python"


def install(site: Path, name: str, version: str, requires: str = "") -> None:
    """Writes an installed distribution with one package."""
    (site / name).mkdir()
    (site / name / "__init__.py").write_text(f"VERSION = {version!r}\n")
    metadata = site / f"{name}-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n{requires}\n")
    (metadata / "RECORD").write_text(
        f"{name}/__init__.py,,\n{metadata.name}/METADATA,,\n{metadata.name}/RECORD,,\n"
    )


def last_json(done: subprocess.CompletedProcess[str]) -> Any:
    """Returns the last line of a successful process' output, parsed as JSON."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
