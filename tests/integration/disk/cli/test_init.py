"""`init`: templates that check out, and no file that is overwritten unasked."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from raybundle.cli.templates import KINDS, look, templates
from tests.support.kuberay import faults
from tests.support.lacking import lacking
from tests.support.workplace import Workplace, make_workplace

ROOT = Path(__file__).resolve().parents[4]
USED = re.compile(r"^\s*- uses: (\S+)", re.MULTILINE)


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    return make_workplace(tmp_path / "work")


def test_each_kind_is_a_folder_of_templates_and_has_files(tmp_path: Path) -> None:
    assert sorted(each.name for each in templates().iterdir()) == list(KINDS)
    for kind in KINDS:
        files = look(kind, tmp_path)
        assert files
        assert {each.state for each in files} == {"new"}


def test_files_are_written_once_and_kept_after_that(work: Workplace) -> None:
    first, again = work.raybundle("init", "github"), work.raybundle("init", "github")

    assert (first.returncode, first.stderr) == (0, "wrote .github/workflows/ray-job.yml\n")
    assert (again.returncode, again.stderr) == (0, "kept .github/workflows/ray-job.yml\n")
    assert (work.directory / ".github/workflows/ray-job.yml").is_file()


def test_a_file_that_differs_is_overwritten_only_on_demand(work: Workplace) -> None:
    own = work.directory / "ci" / "Jenkinsfile"
    own.parent.mkdir()
    own.write_text("mine\n")

    refused = work.raybundle("init", "jenkins", "ci")
    shown = work.raybundle("init", "jenkins", "ci", "--diff")
    kept = own.read_text()
    forced = work.raybundle("init", "jenkins", "ci", "--force")

    assert refused.returncode == 2
    assert "ci/Jenkinsfile is there already, with other content" in refused.stderr
    assert shown.returncode == 0
    assert "-mine\n" in shown.stdout
    assert "+pipeline {\n" in shown.stdout
    assert kept == "mine\n"
    assert (forced.returncode, forced.stderr) == (0, "overwrote ci/Jenkinsfile\n")
    assert own.read_text().startswith("//")


@pytest.mark.parametrize("content", [None, "mine\n"])
def test_no_file_is_written_through_a_link(work: Workplace, tmp_path: Path, content: str | None) -> None:
    elsewhere, own = tmp_path / "elsewhere", work.directory / "Jenkinsfile"
    if content is not None:
        elsewhere.write_text(content)
    own.symlink_to(elsewhere)

    refused = work.raybundle("init", "jenkins")
    shown = work.raybundle("init", "jenkins", "--diff")
    forced = work.raybundle("init", "jenkins", "--force")

    assert [each.returncode for each in (refused, shown, forced)] == [2, 0, 0]
    assert not own.is_symlink()
    assert own.read_text().startswith("//")
    assert (elsewhere.read_text() if elsewhere.exists() else None) == content


def test_nothing_is_written_if_one_of_several_files_differs(work: Workplace) -> None:
    (work.directory / "nodes.json").write_text("{}\n")

    refused = work.raybundle("init", "iam")

    assert refused.returncode == 2
    assert not (work.directory / "submitters.json").exists()


@pytest.mark.parametrize(
    ("obstacle", "told"),
    [
        ("job.py/", "job.py is a directory"),
        ("src", "src is not a directory"),
        ("src/my_job", "src/my_job is not a directory"),
    ],
)
def test_a_directory_in_the_place_of_a_file_is_told_before_anything_is_written(
    work: Workplace, obstacle: str, told: str
) -> None:
    own = work.directory / obstacle
    if obstacle.endswith("/"):
        own.mkdir()
    else:
        own.parent.mkdir(exist_ok=True)
        own.write_text("mine\n")

    asked = [work.raybundle("init", "project", *more) for more in ([], ["--force"], ["--diff"])]

    assert {each.returncode for each in asked} == {2}
    assert all(f"{told}: the template `project` has no place there\n" in each.stderr for each in asked)
    assert not (work.directory / "README.md").exists()
    assert "`raybundle init project DIRECTORY`" in asked[0].stderr
    assert work.raybundle("init", "project", "elsewhere").returncode == 0


def test_a_file_is_no_directory_to_write_to(work: Workplace) -> None:
    (work.directory / "mine").write_text("")

    refused = work.raybundle("init", "github", "mine")

    assert (refused.returncode, (work.directory / "mine").read_text()) == (2, "")
    assert "mine is not a directory" in refused.stderr


def test_actions_are_pinned_by_commit(tmp_path: Path) -> None:
    [workflow] = look("github", tmp_path)

    used = USED.findall(workflow.text)
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each)] == []


def test_templates_are_what_their_readers_take(tmp_path: Path) -> None:
    for kind in ("github", "gitlab", "kuberay"):
        for each in look(kind, tmp_path):
            assert isinstance(yaml.safe_load(each.text), dict)
    for kind in ("iam", "notebook"):
        for each in look(kind, tmp_path):
            assert isinstance(json.loads(each.text), dict)


CHECKOUT = "checkout@11bd71901bbe5b1630ceea73d27597364c9af683"
SCHEMA = ("check-jsonschema", "--builtin-schema")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "linter", "right", "wrong"),
    [
        ("github", (*SCHEMA, "vendor.github-workflows"), "permissions: {}", "permissions: 1"),
        ("github", ("zizmor", "--offline"), CHECKOUT, "checkout@v4"),
        (
            "gitlab",
            (*SCHEMA, "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
            "when: always",
            "when: 1",
        ),
    ],
)
def test_the_templates_of_ci_services_pass_their_linters(
    tmp_path: Path, kind: str, linter: tuple[str, ...], right: str, wrong: str
) -> None:
    program, *words = linter
    found = shutil.which(program, path=Path(sys.executable).parent) or lacking(f"{program} is not installed")
    [template] = look(kind, tmp_path)
    assert right in template.text
    codes = []
    for text in (template.text, template.text.replace(right, wrong)):
        template.path.parent.mkdir(parents=True, exist_ok=True)
        template.path.write_text(text)
        done = subprocess.run([found, *words, template.path], capture_output=True, text=True, check=False)
        codes.append(done.returncode)
        assert text != template.text or done.returncode == 0, done.stdout + done.stderr
    assert codes[1] != 0


def test_the_cluster_of_kuberay_is_one(tmp_path: Path) -> None:
    [file] = look("kuberay", tmp_path)

    assert faults("rayjob", {"spec": {"rayClusterSpec": yaml.safe_load(file.text)}}) == []


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "target"), [("project", "job.py"), ("notebook", "job.ipynb")])
def test_what_begins_a_project_can_be_planned(work: Workplace, kind: str, target: str) -> None:
    work.raybundle("init", kind)

    planned = work.raybundle("plan", target)

    assert planned.returncode == 0, planned.stderr


@pytest.mark.slow
def test_a_wheel_has_the_templates(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

    [wheel] = tmp_path.glob("*.whl")
    names = {name.removeprefix("raybundle/templates/") for name in zipfile.ZipFile(wheel).namelist()}
    expected = {
        each.path.relative_to(tmp_path).as_posix() for kind in KINDS for each in look(kind, tmp_path / kind)
    }
    assert expected <= names
