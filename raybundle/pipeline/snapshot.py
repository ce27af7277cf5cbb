"""A commit of a repository as a directory, kept in the cache: what a bundle was made of before."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.room import IN_USE, make_room
from raybundle.config import cache_directory
from raybundle.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.model import Interpreter

_KEPT = 4
"""Snapshots that stay in the cache."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A commit of the repository at `top`, checked out at `place`."""

    top: Path
    place: Path
    commit: str

    def of(self, path: Path) -> Path:
        """Returns where the snapshot has what is at `path`; a path outside the repository is as it is."""
        return self.place / path.relative_to(self.top) if path.is_relative_to(self.top) else path

    def text(self, text: str) -> str:
        """Returns a text about the snapshot as a text about the repository."""
        return text.replace(str(self.place), str(self.top))

    def interpreter(self, now: Interpreter) -> Interpreter:
        """Returns an interpreter whose first-party path entries and editable installs lead to the snapshot.

        Installed distributions stay, also those of an environment inside the repository.
        """
        installed = (*now.site, *now.stdlib)

        def moved(location: str) -> str:
            if any(location == each or location.startswith(each + os.sep) for each in installed):
                return location
            return str(self.of(Path(location))) if location else location

        return replace(
            now,
            path=tuple(map(moved, now.path)),
            editables=tuple((name, moved(location)) for name, location in now.editables),
            namespaces=tuple((name, moved(location)) for name, location in now.namespaces),
            projects=tuple((moved(directory), metadata) for directory, metadata in now.projects),
        )


def find_snapshot(project: Path, revision: str, environ: Mapping[str, str]) -> Snapshot | None:
    """Returns a commit as a directory; None if `revision` is none of the project's repository.

    Args:
        project: a directory in the repository.
        revision: as git takes it: a branch, a tag, `HEAD~2`, a hash.
        environ: environment variables; those that direct git elsewhere do not count.

    Raises:
        BundleError: git cannot check the commit out.
    """
    clean = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    named = _git(
        project, clean, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    top = _git(project, clean, "rev-parse", "--show-toplevel")
    if named is None or top is None or named.returncode or top.returncode:
        return None
    repository, commit = Path(os.fsdecode(top.stdout.rstrip(b"\n"))), named.stdout.decode().strip()
    folder = cache_directory(environ) / "commits"
    place = folder / commit
    if not place.is_dir():
        _check_out(repository, commit, place, clean)
    os.utime(place)
    make_room(folder, _KEPT, time.time_ns(), IN_USE)
    return Snapshot(repository, place, commit)


def _check_out(repository: Path, commit: str, place: Path, environ: Mapping[str, str]) -> None:
    """Writes all files of a commit into `place`; the repository's own index and files are not touched."""
    place.parent.mkdir(parents=True, exist_ok=True)
    young = Path(tempfile.mkdtemp(prefix=".young-", dir=place.parent))
    try:
        index = {**environ, "GIT_INDEX_FILE": str(young / "index")}
        for words in (
            ("read-tree", commit),
            ("checkout-index", "--all", "--force", f"--prefix={young}/files/"),
        ):
            done = _git(repository, index, *words)
            if done is None or done.returncode != 0:
                said = (
                    "" if done is None else done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
                )
                raise BundleError(f"git cannot check out {commit[:12]}: {said or 'it does not answer'}")
        (young / "files").mkdir(exist_ok=True)
        try:
            (young / "files").rename(place)
        except OSError:
            if not place.is_dir():  # else another process was faster
                raise
    finally:
        shutil.rmtree(young, ignore_errors=True)


def _git(
    directory: Path, environ: Mapping[str, str], *words: str
) -> subprocess.CompletedProcess[bytes] | None:
    command = ["git", "-C", str(directory), "-c", "core.fsmonitor=false", *words]
    try:
        return subprocess.run(command, env=environ, capture_output=True, check=False)
    except OSError:
        return None
