"""The story of `patch`: from a commit to the files of a bundle, as `git apply` reads it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import BundleError, UsageError
from raybundle.formats.amounts import counted
from raybundle.pipeline.diffing.ends import stored_of
from raybundle.pipeline.verifying import open_shelf_of
from raybundle.publish.content.pulling import Writer, opened_archive
from raybundle.publish.layout import require_format
from raybundle.publish.refs import find_ref
from raybundle.publish.runs.listing import Wanted, list_runs
from raybundle.publish.runs.records import find_recorded, read_run
from raybundle.publish.trust.policy import trust_of
from raybundle.resolve.driver.project import find_project

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.bundle.values import ManifestFile
    from raybundle.model import Digest
    from raybundle.publish.content.objects import Shelf
    from raybundle.publish.refs import Found
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Store
    from raybundle.submission.asking import Given

_PROJECT, _OWN = "project", ".raybundle/"
"""The project's root, and the folder of scripts that raybundle makes there."""
_OPAQUE = ("120000", "160000")
"""Modes of links and of submodules: git has nothing below them."""
_DIFF = (
    "--cached",
    "--binary",
    "--full-index",
    "--no-renames",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
)
_PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
LATEST_RUNS = 20
"""Runs of a bundle whose records are looked into for a commit, the latest first."""


@dataclass(frozen=True, slots=True, repr=False)
class Patch:
    """What leads from a commit to a bundle."""

    digest: Digest
    commit: str
    data: bytes
    """As `git apply` takes it, in the top directory of the repository; empty if nothing differs."""
    files: int
    """Files of the bundle that were compared."""
    left: tuple[str, ...]
    """What the patch cannot have, in words."""


def patch(ref: str, against: str | None, given: Given) -> Patch:
    """Returns what leads from a commit of the project's repository to the files of a bundle.

    Only files of the bundle are compared: what else the commit has stays. The repository is not written to.

    Args:
        ref: a bundle or a run of the store.
        against: the commit; None takes that of the run, or of the latest run of the bundle.
        given: settings of the command; the project of the current directory is in the repository.

    Raises:
        UsageError: there is no repository or no such commit, or no run says which.
        StoreError: the store has no such bundle, or cannot be used.
        BundleError: an object is damaged, git fails, or a required signature is not there.
    """
    settings, project = given.settings(), find_project(given.cwd)
    shelf = open_shelf_of(settings, given.environ)
    require_format(shelf.store)
    found, trust = find_ref(shelf.store, ref), trust_of(settings, given.environ)
    stored = trust.find(shelf.store, ref) if trust.required else stored_of(shelf, found.digest)
    place = Path(tempfile.mkdtemp(prefix=".patch-", dir=shelf.folder))
    try:
        repository = _Repository(project, place, given.environ)
        commit = repository.commit(against or _recorded_commit(shelf.store, found, ref))
        return _patch(shelf, stored, repository, commit)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _recorded_commit(store: Store, found: Found, ref: str) -> str:
    if found.run is not None:
        runs = [read_run(store, found.run)]
    else:
        rows = list_runs(store, Wanted(bundle=found.digest))[-LATEST_RUNS:]
        runs = [run for row in reversed(rows) if (run := find_recorded(store, row.id)) is not None]
    for run in runs:
        commit = run.facts.get("git", {}).get("commit")
        if isinstance(commit, str) and run.bundle == found.digest:
            return commit
    raise UsageError(
        f"no run of {ref} has recorded a commit", hint="name the one to begin from: `--against COMMIT`"
    )


def _patch(shelf: Shelf, stored: Stored, repository: _Repository, commit: str) -> Patch:
    modes, left = repository.modes(commit), Counter[str]()
    taken: dict[ManifestFile, str] = {}
    for file in stored.manifest.files:
        root, _, path = str(file.path).partition("/")
        name = repository.prefix + path
        if root != _PROJECT:
            left[f"of {root}, outside of the project"] += 1
        elif opaque := _opaque(name, modes):
            left[f"at {opaque}, a link or a submodule of the commit"] += 1
        elif not path.startswith(_OWN):
            taken[file] = name
    writer = Writer(repository.work)
    with opened_archive(shelf, stored) as archive:
        for file, name in taken.items():
            writer.write(name, archive.pieces(file), executable=file.executable)
    data = repository.diff(commit, list(taken.values()))
    lines = tuple(f"{counted(number, 'file')} {where}" for where, number in sorted(left.items()))
    return Patch(stored.digest, commit, data, len(taken), lines)


def _opaque(name: str, modes: Mapping[str, str]) -> str | None:
    """Returns what is a link or a submodule in the commit: a file, or a directory above it."""
    parts = name.split("/")
    above = ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
    return next((each for each in above if modes.get(each) in _OPAQUE), None)


class _Repository:
    """A repository with an index, a work tree and new objects of its own, all in a temporary directory."""

    def __init__(self, project: Path, place: Path, environ: Mapping[str, str]) -> None:
        self.work, self._place, self._project = place / "work", place, project
        self._environ = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
        words = ("--absolute-git-dir", "--git-path", "objects", "--show-prefix")
        try:
            said = self._git("rev-parse", *words).decode("utf-8", "surrogateescape").split("\n")
        except BundleError as error:
            raise UsageError(
                f"the project {self._project} is not in a repository: {error}",
                hint="run `raybundle patch` in a clone of the repository that the bundle was built from",
            ) from error
        directory, objects, self.prefix = said[:3]
        for name in ("work", "objects"):
            (place / name).mkdir()
        self._environ |= {
            "GIT_DIR": directory,
            "GIT_WORK_TREE": str(self.work),
            "GIT_INDEX_FILE": str(place / "index"),
            "GIT_OBJECT_DIRECTORY": str(place / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str((project / objects).resolve()),
        }

    def commit(self, revision: str) -> str:
        """Returns the full name of a commit."""
        try:
            named = self._git(
                "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
            )
        except BundleError as error:
            raise UsageError(
                f"the repository of {self._project} has no commit {revision}",
                hint="`git fetch` it, or name another one: `--against COMMIT`",
            ) from error
        return named.decode().strip()

    def modes(self, commit: str) -> dict[str, str]:
        """Returns the mode of each path of a commit."""
        listed = self._git("ls-tree", "-r", "-z", "--full-tree", commit).decode("utf-8", "surrogateescape")
        rows = (row.partition("\t") for row in listed.split("\0") if row)
        return {path: head.partition(" ")[0] for head, _, path in rows}

    def diff(self, commit: str, names: Sequence[str]) -> bytes:
        """Returns what differs between a commit and the same commit with files of the work tree.

        The files pass git's own filters (ends of lines, for example) as the commit's attributes say.
        """
        self._git("read-tree", commit)
        paths = "".join(f"{name}\0" for name in names).encode("utf-8", "surrogateescape")
        self._git("update-index", "--add", "--replace", "-z", "--stdin", given=paths)
        return self._git("diff", *_DIFF, *_PREFIXES, commit)

    def _git(self, *words: str, given: bytes | None = None) -> bytes:
        settings = ("-c", "core.fsmonitor=false", "-c", "core.fileMode=true", "-c", "core.safecrlf=false")
        directory = self.work if self.work.is_dir() else self._project
        try:
            done = subprocess.run(
                ["git", *settings, *words],
                cwd=directory,
                env=self._environ,
                input=given,
                stdin=None if given is not None else subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise BundleError(f"cannot run git: {error.strerror}", hint="install git") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            raise BundleError(f"`git {words[0]}` failed: {said or f'exit code {done.returncode}'}")
        return done.stdout
