"""`diff` says what differs between two bundles, two runs, and a bundle and the working tree."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.publish.runs.records import record_start
from raybundle.publish.runs.run import new_run
from raybundle.store import open_store
from tests.support.small_project import tree
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = {"job.py": "import one\nimport gone\n", "one.py": "x = 1\n", "gone.py": "", "data/raw.bin": "a"}
SETTINGS = '[tool.raybundle]\ninclude = ["data/*"]\n'


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    """A project with two versions of a bundle, the second of which is the working tree."""
    made = make_workplace(tmp_path / "work", RAYBUNDLE_STORE=str(tmp_path / "store"))
    tree(made.directory, {**BEFORE, "pyproject.toml": SETTINGS})
    made.build("--name", "job", "job.py")
    (made.directory / "gone.py").unlink()
    tree(
        made.directory,
        {
            "job.py": "import one\n",
            "one.py": "x = 1\nfrom pkg import new\ny = 2",
            "pkg/new.py": "z = 3\n",
            "pyproject.toml": SETTINGS,
        },
    )
    (made.directory / "one.py").chmod(0o755)
    (made.directory / "data/raw.bin").write_bytes(b"\0\xff")
    made.build("--name", "job", "job.py")
    return made


TEXT = """\
- module gone  __main__:2
+ module pkg  __main__:1 > one:2
+ module pkg.new  __main__:1 > one:2
diff --git a/project/data/raw.bin b/project/data/raw.bin
Binary files a/project/data/raw.bin and b/project/data/raw.bin differ
diff --git a/project/gone.py b/project/gone.py
deleted file mode 100644
diff --git a/project/job.py b/project/job.py
--- a/project/job.py
+++ b/project/job.py
@@ -1,2 +1 @@
 import one
-import gone
diff --git a/project/one.py b/project/one.py
old mode 100644
new mode 100755
--- a/project/one.py
+++ b/project/one.py
@@ -1 +1,3 @@
 x = 1
+from pkg import new
+y = 2
\\ No newline at end of file
diff --git a/project/pkg/new.py b/project/pkg/new.py
new file mode 100644
--- /dev/null
+++ b/project/pkg/new.py
@@ -0,0 +1 @@
+z = 3
"""


def test_files_modules_and_what_brought_them_in_are_shown(work: Workplace) -> None:
    done = work.raybundle("diff", "job@1", "job@2")

    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n", 2)[2] == TEXT


def test_the_working_tree_is_the_other_end_if_there_is_one(work: Workplace) -> None:
    stored = work.raybundle("diff", "--stat", "job@1", "job@2").stdout
    tree_of_today = work.raybundle("diff", "--stat", "job@1").stdout
    same = work.raybundle("diff", "--exit-code", "job@2")

    assert tree_of_today.split("\n", 2)[2] == stored.split("\n", 2)[2]
    assert stored.endswith("5 files, +3 -1\n")
    assert (same.returncode, same.stdout.splitlines()[-1]) == (0, "the same bundle")
    assert work.raybundle("diff", "--exit-code", "job@1").returncode == 10


@pytest.mark.slow
def test_the_text_of_a_diff_is_one_that_git_applies(work: Workplace, tmp_path: Path) -> None:
    work.raybundle("pull", "job@1", str(tmp_path / "first"))
    work.raybundle("pull", "job@2", str(tmp_path / "second"))
    text = work.raybundle("diff", "job@1", "job@2").stdout
    patch = "diff --git" + text.partition("diff --git")[2].partition("diff --git")[2]

    subprocess.run(["git", "apply"], input=patch, cwd=tmp_path / "first", text=True, check=True)

    found, expected = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*.py")}
        for top in (tmp_path / "first", tmp_path / "second")
    )
    assert found == expected


@pytest.mark.slow
def test_what_two_runs_were_asked_differs_too(work: Workplace, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), {})
    digest = json.loads(work.raybundle("--json", "show", "job").stdout)["bundle"]
    for run_id, arguments, env in (("run-a", ["1"], {"SEED": "1"}), ("run-b", ["2"], {"MODE": "x"})):
        run = new_run(digest, arguments, env, "http://cluster", run_id)
        record_start(store, replace(run, facts={"env": env}))

    done = work.raybundle("--json", "diff", "run-a", "run-b")

    document = json.loads(done.stdout)
    facts = {each["name"]: (each["before"], each["after"]) for each in document["environment"]}
    assert (document["before"]["run"], document["differs"], document["files"]) == ("run-a", True, [])
    assert facts == {
        "arguments": ('["1"]', '["2"]'),
        "env.SEED": ("1", None),
        "env.MODE": (None, "x"),
        "env_names": ('["SEED"]', '["MODE"]'),
    }
