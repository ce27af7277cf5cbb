"""Jobs read the files that they name by path, on a cluster, with their source gone."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Workplace

IN_A_TASK = "import ray\n\n\n@ray.remote\ndef read(name):\n    return open(name).read().strip()\n\n\n"


@dataclass(frozen=True, slots=True)
class Job:
    """A project, what is submitted, and what it prints."""

    files: dict[str, str]
    words: tuple[str, ...]
    printed: tuple[str, ...]
    start: str = ""


JOBS = {
    "literal": Job(
        {"job.py": f"{IN_A_TASK}print('READ', ray.get(read.remote('data/d.csv')))\n", "data/d.csv": "a,b\n"},
        ("job.py",),
        ("READ a,b",),
    ),
    "argument": Job(
        {
            "train.py": "import argparse, json\n\nparser = argparse.ArgumentParser()\n"
            "parser.add_argument('--config', default='conf/base.json')\n"
            "print('CONFIG', json.load(open(parser.parse_args().config)))\n",
            "conf/base.json": "1",
            "conf/other.json": "2",
        },
        ("train.py", "--config=conf/other.json"),
        ("CONFIG 2",),
    ),
    "from a directory of the project": Job(
        {"jobs/job.py": "print('HERE', open('x.txt').read())\n", "jobs/x.txt": "below"},
        ("job.py",),
        ("HERE below",),
        "jobs",
    ),
    "resources of a library": Job(
        {
            "job.py": "from pkg.reading import words\n\nprint('WORDS', words())\n",
            "src/pkg/__init__.py": "",
            "src/pkg/reading.py": "from pathlib import Path\n\n"
            "RESOURCES = Path(__file__).resolve().parents[2] / 'resources'\n\n\n"
            "def words():\n    return sorted(each.read_text() for each in RESOURCES.glob('*.txt'))\n",
            "resources/a.txt": "a",
            "resources/b.txt": "b",
        },
        ("job.py",),
        ("WORDS ['a', 'b']",),
    ),
}


def submitted(work: Workplace, job: Job, directory: Path) -> str:
    """Builds with the arguments, removes the source, runs the bundle and returns its log."""
    project = tree(directory, job.files)
    words = ("--", "python", *job.words) if len(job.words) > 1 else job.words
    built = work.raybundle("build", *words, cwd=project / job.start)
    assert built.returncode == 0, built.stderr
    shutil.rmtree(project)
    start = ("--cwd", job.start) if job.start else ()
    ran = work.raybundle("run", *start, built.stdout.strip(), *job.words[1:], cwd=work.directory)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.ray
@pytest.mark.parametrize("kind", JOBS)
def test_a_job_reads_what_it_names(embedded: Embedded, tmp_path: Path, kind: str) -> None:
    job = JOBS[kind]
    log = submitted(embedded.workplace(tmp_path / "work"), job, tmp_path / "project")

    assert all(line in log.splitlines() for line in job.printed)


@pytest.mark.ray
def test_a_job_reads_what_a_link_of_its_project_leads_to(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    tree(tmp_path / "all/mnt", {"d.csv": "shared"})
    (tmp_path / "all/proj").mkdir()
    (tmp_path / "all/proj/data").symlink_to("../mnt")
    subprocess.run(["git", "init", "--quiet", tmp_path / "all"], check=True)
    job = Job({"job.py": "print('LINK', open('data/d.csv').read())\n"}, ("job.py",), ())

    assert "LINK shared" in submitted(work, job, tmp_path / "all/proj").splitlines()


@pytest.mark.ray
def test_submit_takes_what_its_arguments_name(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    project = tree(tmp_path / "project", {"job.py": "import sys\nprint('GOT', open(sys.argv[1]).read())\n"})
    tree(project, {"prompts/hello.txt": "hello"})

    done = work.raybundle("submit", "job.py", "prompts/hello.txt", cwd=project)

    assert (done.returncode, "GOT hello" in done.stdout) == (0, True), done.stderr


@pytest.mark.slow
def test_plan_and_why_name_the_place(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    project = tree(tmp_path / "project", JOBS["literal"].files)

    plan = work.raybundle("plan", "job.py", cwd=project)
    why = work.raybundle("why", "job.py", "data/d.csv", cwd=project)
    document = json.loads(work.raybundle("--json", "plan", "job.py", cwd=project).stdout)

    assert "project/data/d.csv  4 B  (named at job.py:9 (path))" in plan.stdout
    assert "named at job.py:9 (path)" in why.stdout
    assert "project/data/d.csv" in {each["path"] for each in document["files"]}


def test_many_files_are_listed_in_a_section_of_their_own(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    files = {f"data/{number:02}.csv": "x" for number in range(12)}
    project = tree(tmp_path / "project", {"job.py": "import os\nprint(os.listdir('data'))\n", **files})

    plan = work.raybundle("plan", "job.py", cwd=project)

    assert "named by path, `# raybundle: ignore` in the line turns it off (12)" in plan.stdout
    assert "  project/data/00.csv  1 B  (named at job.py:2 (path))" in plan.stdout


DOTENV = (
    "import os\n\n\ndef load_dotenv():\n    if os.path.exists('.env'):\n"
    "        os.environ.update(line.strip().split('=') for line in open('.env'))\n"
)
IN_DRIVER = "print('READ', open('vsc.d/atad'[::-1]).read())\n"
MISSES = {
    "in the driver": IN_DRIVER,
    "in a task": f"{IN_A_TASK}print('READ', ray.get(read.remote('vsc.d/atad'[::-1])))\n",
    "beside the source": "from pathlib import Path\n\n"
    "print('READ', (Path(__file__).parent / 'vsc.d/atad'[::-1]).read_text())  # raybundle: ignore\n",
}


@pytest.mark.ray
@pytest.mark.parametrize("kind", MISSES)
def test_a_job_that_misses_a_file_is_told_the_line_that_takes_it_along(
    embedded: Embedded, tmp_path: Path, kind: str
) -> None:
    work = embedded.workplace(tmp_path / "work")
    project = tree(tmp_path / "project", {"job.py": MISSES[kind], "data/d.csv": "a,b"})

    missed = work.raybundle("submit", "job.py", cwd=project)
    (project / "pyproject.toml").write_text('[tool.raybundle]\ninclude = ["data/d.csv"]\n')
    found = work.raybundle("submit", "job.py", cwd=project)

    assert missed.returncode == 20, missed.stderr
    assert missed.stderr.splitlines()[-1] == (
        'hint: `data/d.csv` is in the project and not in the bundle: `include = ["data/d.csv"]` in '
        "[tool.raybundle] bundles it"
    )
    assert (found.returncode, "READ a,b" in found.stdout) == (0, True), found.stderr


@pytest.mark.ray
@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("open('vsc.d/atad'[::-1])\n", ""),
        ("open('asr_di'[::-1])\n", "`--secret NAME=file:PATH` gives it to the job"),
    ],
    ids=["absent", "a secret"],
)
def test_a_job_that_misses_what_cannot_be_included_is_told_so(
    embedded: Embedded, tmp_path: Path, source: str, hint: str
) -> None:
    work = embedded.workplace(tmp_path / "work")
    project = tree(tmp_path / "project", {"job.py": source, "id_rsa": "A=1\n"})

    missed = work.raybundle("submit", "job.py", cwd=project)

    assert (missed.returncode, "hint:" in missed.stderr) == (20, bool(hint)), missed.stderr
    assert missed.stderr.splitlines()[-1].endswith(hint)


@pytest.mark.ray
def test_what_an_environment_file_sets_is_said_and_an_option_sets_it(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work")
    source = "import os, dotenv\n\ndotenv.load_dotenv()\nprint('MODE', os.environ.get('MODE'))\n"
    project = tree(tmp_path / "project", {"job.py": source, ".env": "MODE=batch\n", "dotenv.py": DOTENV})

    without = work.raybundle("submit", "job.py", cwd=project)
    given = work.raybundle("submit", "--env", "MODE=batch", "job.py", cwd=project)

    assert ".env is left out" in without.stderr
    assert "`--env NAME=VALUE`" in without.stderr
    assert ("MODE None" in without.stdout, "MODE batch" in given.stdout) == (True, True)
