"""`plan --against`: what a change does to the bundles of many targets."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import raybundle
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = [f"{kind}{number}.py" for kind in ("fit", "score", "clean") for number in range(4)]
PROJECT = {
    "pyproject.toml": "[project]\nname = 'shop'\nversion = '1'\n",
    "src/shared/__init__.py": "",
    "src/shared/frames.py": "VALUE = 1\n",
    "src/shared/old.py": "",
    "src/shared/words.txt": "one\n",
    **{name: "from shared import frames\n" for name in TARGETS if name.startswith("fit")},
    **{name: "import shared.old\n" for name in TARGETS if name.startswith("score")},
    **{name: "import json\n" for name in TARGETS if name.startswith("clean")},
}


def git(repository: Path, *words: str) -> str:
    identity = ("-c", "user.email=a@example.org", "-c", "user.name=a", "-c", "init.defaultBranch=main")
    command = ["git", "-C", str(repository), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A committed project with twelve targets; its user has configured nothing."""
    for name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("RAYBUNDLE_PYTHON", sys.executable)
    directory = tree(tmp_path / "shop", PROJECT)
    git(directory, "init", "-q")
    git(directory, "add", "-A")
    git(directory, "commit", "-qm", "first")
    monkeypatch.chdir(directory)
    return directory


def run(*words: str) -> subprocess.CompletedProcess[str]:
    words = (sys.executable, "-m", "raybundle", *words)
    return subprocess.run(words, capture_output=True, text=True, check=False)


def differing(found: tuple[raybundle.Comparison, ...]) -> list[str]:
    return [name for name, each in zip(TARGETS, found, strict=True) if each.differs]


@pytest.mark.slow
def test_the_answers_of_more_targets_than_the_cache_keeps_are_used_again(
    repository: Path, tmp_path: Path
) -> None:
    names = [f"many{number}.py" for number in range(20)]
    tree(repository, dict.fromkeys(names, "from shared import frames\n"))
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "many")

    raybundle.compare(names, "HEAD")

    kept = [each.name for each in (tmp_path / "home/raybundle/answers").iterdir()]
    assert len(kept) == 2 * len(names)


def test_exactly_the_affected_targets_differ(repository: Path) -> None:
    before = raybundle.compare(TARGETS, "HEAD")
    (repository / "src/shared/frames.py").write_text("from shared import columns\nVALUE = 2\n")
    (repository / "src/shared/columns.py").touch()

    after = raybundle.compare(TARGETS, "HEAD")

    assert differing(before) == []
    assert differing(after) == TARGETS[:4]
    changes = after[0].changes
    assert changes is not None
    assert [(each.kind, each.path) for each in changes.files] == [
        ("added", "project/src/shared/columns.py"),
        ("changed", "project/src/shared/frames.py"),
    ]
    assert [edge.imported for edge in changes.files[0].chain] == ["shared.frames", "shared.columns"]


def test_data_that_no_module_names_counts_too(repository: Path) -> None:
    (repository / "src/shared/words.txt").unlink()

    found = raybundle.compare(TARGETS, "HEAD")

    assert differing(found) == TARGETS[:8]
    assert found[0].changes is not None
    assert [(each.kind, each.path) for each in found[0].changes.files] == [
        ("removed", "project/src/shared/words.txt")
    ]


@pytest.mark.slow
def test_a_module_that_is_gone_has_the_chain_that_brought_it(repository: Path) -> None:
    (repository / "src/shared/old.py").unlink()
    (repository / "score0.py").write_text("import shared\n")

    [found] = raybundle.compare(["score0.py"], "HEAD")

    assert found.changes is not None
    [gone] = [each for each in found.changes.files if each.kind == "removed"]
    [edge] = [each for each in gone.chain if each.imported == "shared.old"]
    assert (gone.module, edge.file) == ("shared.old", repository / "score0.py")


@pytest.mark.slow
def test_an_editable_install_of_the_project_is_that_of_the_commit(repository: Path, tmp_path: Path) -> None:
    environment = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    [site] = environment.glob("lib/python*/site-packages")
    (site / "shop.pth").write_text(f"{repository / 'src'}\n")
    (repository / "src/shared/frames.py").write_text("VALUE = 3\n")

    [found] = raybundle.compare(["fit0.py"], "HEAD", python=environment / "bin/python")

    assert found.changes is not None
    assert [each.path.rpartition("/")[2] for each in found.changes.files] == ["frames.py"]


def test_settings_are_those_of_each_side(repository: Path) -> None:
    with (repository / "pyproject.toml").open("a") as stream:
        stream.write("[tool.raybundle]\nexclude = ['**/words.txt']\n")

    [found] = raybundle.compare(["fit0.py"], "HEAD")

    assert found.changes is not None
    assert [(each.kind, each.path) for each in found.changes.files] == [
        ("removed", "project/src/shared/words.txt")
    ]


@pytest.mark.slow
def test_a_new_target_and_one_that_could_not_be_bundled_say_so(repository: Path) -> None:
    (repository / "new.py").write_text("import json\n")
    (repository / "fit0.py").write_text("import nowhere_at_all\n")
    git(repository, "commit", "-qam", "second")
    (repository / "fit0.py").write_text("import json\n")

    done = run("plan", "--against", "HEAD", "new.py", "fit0.py")

    assert done.returncode == 0, done.stderr
    assert "new.py   new: the target is new" in done.stdout
    assert "fit0.py  new: " in done.stdout
    assert "nowhere_at_all" in done.stdout


@pytest.mark.slow
def test_the_exit_code_says_whether_a_bundle_differs(repository: Path) -> None:
    same = run("plan", "--against", "main", "--exit-code", *TARGETS)
    (repository / "src/shared/frames.py").write_text("VALUE = 4\n")

    other = run("plan", "--against", "main", "--exit-code", *TARGETS)
    silent = run("plan", "--against", "main", *TARGETS)

    assert (same.returncode, other.returncode, silent.returncode) == (0, 10, 0), same.stderr
    assert same.stdout.splitlines()[0].endswith("0 of 12 bundles differ")
    assert other.stdout.splitlines()[1:3] == [
        "fit0.py    differs: 1 file, +0 B",
        "  ~ src/shared/frames.py  __main__:1 > shared.frames",
    ]


@pytest.mark.slow
def test_the_comment_for_a_pull_request_has_a_table_and_each_difference(repository: Path) -> None:
    (repository / "src/shared/frames.py").write_text("VALUE = 4\n")

    done = run("plan", "--against", "HEAD", "--format", "markdown", "fit0.py", "clean0.py")

    lines = done.stdout.splitlines()
    assert lines[0].startswith("### against HEAD (")
    assert [line.count("|") for line in lines[2:6]] == [4, 4, 4, 4]
    assert lines.count("```diff") == 1
    assert "~ src/shared/frames.py  __main__:1 > shared.frames" in lines


@pytest.mark.slow
def test_the_repository_is_left_as_it_is(repository: Path) -> None:
    (repository / "src/shared/frames.py").write_text("VALUE = 4\n")
    git(repository, "add", "src/shared/frames.py")
    (repository / "untracked.txt").touch()
    before = git(repository, "status", "--porcelain=v2"), git(repository, "worktree", "list")

    raybundle.compare(["fit0.py"], "HEAD")

    assert before == (git(repository, "status", "--porcelain=v2"), git(repository, "worktree", "list"))


@pytest.mark.slow
def test_a_bundle_of_the_store_is_a_baseline_too(repository: Path) -> None:
    stored = raybundle.build("fit0.py", name="fit")
    (repository / "src/shared/frames.py").write_text("VALUE = 5\n")

    [by_name] = raybundle.compare(["fit0.py"], "fit@1")
    done = run("plan", "--against", stored.digest[:20], "fit0.py", "fit1.py")

    assert by_name.changes is not None
    assert by_name.changes.before.digest == stored.digest
    assert [each.path for each in by_name.changes.files] == ["project/src/shared/frames.py"]
    assert done.returncode == 2
    assert "is one bundle, and 2 targets are compared with it" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["--against", "no-such-branch", "fit0.py"],
            "`no-such-branch` is neither a revision of the repository",
        ),
        (["--against", "HEAD"], "no target"),
        (["--exit-code", "fit0.py"], "`--exit-code` says whether a bundle differs"),
        (["--against", "--output=/tmp/x", "fit0.py"], "expected one argument"),
    ],
)
def test_what_cannot_be_compared_is_refused(words: list[str], error: str) -> None:
    done = run("plan", *words)

    assert done.returncode == 2
    assert error in done.stderr


@pytest.mark.slow
def test_limits_name_the_imports_that_are_responsible(repository: Path) -> None:
    with (repository / "pyproject.toml").open("a") as stream:
        stream.write("[tool.raybundle]\nmax-bytes = '20 B'\nforbid = ['shared.frames']\n")

    done = run("plan", "fit0.py")
    against = run("plan", "--against", "HEAD", "fit0.py", "clean0.py")
    raised = run("plan", "--against", "HEAD", "clean0.py")

    assert done.returncode == against.returncode == 3
    assert "\nthe bundle has 40 B, and `max-bytes` allows 20 B:\n" in done.stderr
    assert f"`shared.frames` is forbidden: {repository / 'fit0.py'}:1 imports shared.frames" in done.stderr
    assert "hint: drop the import, or change the limit" in done.stderr
    assert "0 of 2 bundles differ" in against.stdout
    assert raised.returncode == 0, raised.stderr


@pytest.mark.slow
def test_a_limit_of_distributions_names_what_is_imported(repository: Path) -> None:
    (repository / "fit0.py").write_text("import websocket\n")

    with pytest.raises(raybundle.errors.BundleError) as caught:
        raybundle.build("fit0.py", max_distributions=0)
    with pytest.raises(raybundle.errors.BundleError, match="`websocket_client` is forbidden"):
        raybundle.plan("fit0.py", forbid=["websocket_client"])

    _, first, second = str(caught.value).splitlines()
    assert first == "1 distribution travels, and `max-distributions` allows 0:"
    assert second == f"  websocket-client, imported at {repository / 'fit0.py'}:1"
    assert caught.value.hint is not None
    assert "change the limit in [tool.raybundle]" in caught.value.hint
    with (repository / "pyproject.toml").open("a") as stream:
        stream.write("[tool.raybundle]\nmax-distributions = 1\n")
    assert [layer.name for layer in raybundle.plan("fit0.py").layers] == ["websocket-client"]


@pytest.mark.parametrize(
    ("key", "value"), [("max-bytes", "many"), ("max-bytes", True), ("max-distributions", "-1")]
)
def test_a_limit_that_is_no_number_is_refused(repository: Path, key: str, value: object) -> None:
    with (repository / "pyproject.toml").open("a") as stream:
        stream.write(f"[tool.raybundle]\n{key} = {json.dumps(value)}\n")

    with pytest.raises(raybundle.errors.UsageError, match=f"`{key}` in .* must be"):
        raybundle.plan("fit0.py")
