"""`patch`: applied to a fresh checkout of the recorded commit, it gives the files of the bundle again."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import UsageError
from raybundle.pipeline.diffing.patching import patch
from raybundle.publish.refs import look_up
from raybundle.publish.runs.records import record_start
from raybundle.publish.runs.run import new_run
from raybundle.store import open_store
from raybundle.submission.asking import Given
from tests.support.small_project import tree
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[project]
name = "job"
version = "1"
[tool.raybundle]
roots = ["../libs"]
include = ["*.bin", "run.sh", "größe.txt", "crlf.txt", "linked/*"]
"""
COMMITTED = {
    "app/job.py": "import part\nimport outside\n\nprint(part.value)\n",
    "app/part.py": "value = 1\n",
    "app/pyproject.toml": CONFIG,
    "app/notes.txt": "stays\n",
    "app/run.sh": "#!/bin/sh\n",
    "app/.gitattributes": "crlf.txt text eol=crlf\n",
    "app/real/data.txt": "one\n",
    "libs/outside.py": "",
}


def git(directory: Path, *words: str, given: bytes | None = None) -> bytes:
    names = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false")
    return subprocess.run(
        ["git", *names, *words], cwd=directory, input=given, check=True, capture_output=True
    ).stdout


@dataclass(frozen=True, slots=True)
class Scene:
    """A repository with one commit, and the bundle of what was changed after it."""

    work: Workplace
    commit: str
    digest: str

    def fresh(self, directory: Path) -> Path:
        """Returns a checkout of the commit elsewhere."""
        git(self.work.directory, "worktree", "add", "-q", "--detach", str(directory), self.commit)
        return directory

    @property
    def state(self) -> bytes:
        """What a command must not change: the index, and every object and reference."""
        directory = self.work.directory / ".git"
        names = sorted(str(each) for each in directory.rglob("*") if each.is_file())
        return repr(names).encode() + (directory / "index").read_bytes()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    work = make_workplace(tmp_path / "work", VIRTUAL_ENV=sys.prefix)
    tree(work.directory, COMMITTED)
    app = work.directory / "app"
    (app / "image.bin").write_bytes(bytes(range(256)))
    (app / "crlf.txt").write_bytes(b"one\r\ntwo\r\n")
    (app / "linked").symlink_to("real")
    git(work.directory, "init", "-q")
    git(work.directory, "add", ".")
    git(work.directory, "commit", "-qm", "first")
    commit = git(work.directory, "rev-parse", "HEAD").decode().strip()
    (app / "part.py").write_text("import new\n\nvalue = new.value\n")
    (app / "new.py").write_bytes(
        'value = "größer"  # '.encode("latin-1").join([b"# coding: latin-1\n", b"\n"])
    )
    (app / "image.bin").write_bytes(bytes(range(256))[::-1] * 3)
    (app / "größe.txt").write_text("groß\n", "utf-8")
    (app / "run.sh").chmod(0o755)
    (app / "notes.txt").write_text("not in the bundle\n")
    return Scene(work, commit, work.raybundle("build", "--name", "job", "job.py", cwd=app).stdout.strip())


def test_it_gives_the_bundle_again_and_leaves_the_repository_alone(scene: Scene, tmp_path: Path) -> None:
    before = scene.state

    done = scene.work.command(
        ["sh", "-c", f'"{sys.executable}" -m raybundle patch --against HEAD job > "{tmp_path}/patch"'],
        cwd=scene.work.directory / "app",
    )
    after = scene.state
    fresh = scene.fresh(tmp_path / "fresh")
    git(fresh, "apply", str(tmp_path / "patch"))
    again = scene.work.raybundle("build", "job.py", cwd=fresh / "app")

    assert done.returncode == 0, done.stderr
    assert before == after
    assert again.stdout.strip() == scene.digest, again.stderr
    assert (fresh / "app/notes.txt").read_text() == "stays\n"
    said = done.stderr.splitlines()
    assert "warning: not in the patch: 1 file of root-1, outside of the project" in said
    assert "warning: not in the patch: 1 file at app/linked, a link or a submodule of the commit" in said
    assert b"crlf.txt" not in (tmp_path / "patch").read_bytes()  # git keeps it with other ends of lines


def test_the_commit_is_that_of_the_run_or_of_the_latest_run_of_the_bundle(scene: Scene) -> None:
    app = scene.work.directory / "app"
    store = open_store(str(next(scene.work.directory.parent.rglob("raybundle/store"))), {})
    given = Given({"store": store.url}, {**scene.work.environ}, app)
    with pytest.raises(UsageError, match="no run of job has recorded a commit") as refused:
        patch("job", None, given)
    assert refused.value.hint == "name the one to begin from: `--against COMMIT`"
    run = new_run(look_up(store, "job"), (), {}, "http://127.0.0.1:8265")
    record_start(store, replace(run, facts={"git": {"commit": scene.commit}}))

    found = {ref: patch(ref, None, given) for ref in ("job", run.id, scene.digest)}

    assert {each.commit for each in found.values()} == {scene.commit}
    assert len({each.data for each in found.values()}) == 1


def test_what_is_no_repository_and_no_commit_is_named(scene: Scene, tmp_path: Path) -> None:
    elsewhere = scene.work.raybundle("patch", "--against", "HEAD", "job", cwd=tmp_path)
    unknown = scene.work.raybundle("patch", "--against", "nothing", "job", cwd=scene.work.directory / "app")
    as_json = scene.work.raybundle(
        "--json", "patch", "--against", "HEAD", "job", cwd=scene.work.directory / "app"
    )

    assert (elsewhere.returncode, unknown.returncode) == (2, 2)
    assert elsewhere.stderr.startswith(f"error: the project {tmp_path} is not in a repository: ")
    assert "has no commit nothing" in unknown.stderr
    document = json.loads(as_json.stdout)
    assert base64.b64decode(document["patch"]).startswith(b"diff --git ")
    assert (document["commit"], document["bundle"]) == (scene.commit, scene.digest)
