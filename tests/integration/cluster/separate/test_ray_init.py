"""`ray.init(runtime_env=…)` as people write it, from a bundle, on the newest and the oldest Ray."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.cluster.embedded.test_ray_options import make_wheel
from tests.support.lacking import required_environment
from tests.support.nodes import node_environment
from tests.support.ray_head import ray_head
from tests.support.small_project import tree
from tests.support.workplace import make_workplace, reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import CompletedProcess

    from tests.support.ray_head import RayHead
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray

SECRET = "nobody-may-read-this"
NEWEST, OLDEST = "newest", "oldest"
ON_THE_NEWEST = pytest.mark.parametrize(
    "driven", [NEWEST, pytest.param(OLDEST, marks=pytest.mark.wide)], indirect=True
)
"""For what the rounds and test_field_jobs.py show on the oldest Ray too."""


@dataclass(frozen=True, slots=True)
class Driven:
    """A cluster of one release of Ray, and what the rounds of `rounds.py` saw on it."""

    head: RayHead
    directory: Path
    rounds: dict[str, Any]
    done: CompletedProcess[str]

    def workplace(self, directory: Path) -> Workplace:
        return workplace(self.head, directory, self.directory / "store")


def environment(release: str) -> Path:
    """Returns the environment of a release of Ray; without one skips the test, or fails in CI."""
    if release == NEWEST:
        return node_environment()
    return required_environment("RAYBUNDLE_TEST_OLD_RAY_ENV", "the oldest Ray")


def workplace(head: RayHead, directory: Path, store: Path) -> Workplace:
    return make_workplace(directory, "ray_init", RAYBUNDLE_ADDRESS=head.address, RAYBUNDLE_STORE=str(store))


@pytest.fixture(scope="module", params=[NEWEST, OLDEST])
def driven(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driven]:
    """One job, many times `ray.init`; the source is gone when it runs."""
    directory = tmp_path_factory.mktemp("driven")
    secret = directory / "token"
    secret.write_text(SECRET)
    with ray_head(environment(request.param) / "bin" / "python") as head:
        work = workplace(head, directory / "work", directory / "store")
        options = ("--env", "LEVEL=far", "--env", "RAY_RUNTIME_ENV_HOOK=lib.hooks.on_the_node")
        secrets = ("--secret", f"TOKEN=file:{secret}")
        hook = ("--runtime-env-json", json.dumps({"worker_process_setup_hook": "lib.hooks.submitted"}))
        files = ("--include", "*.txt", "--include", "scripts/values.txt", "--include", "child.py")
        wheels = [str(make_wheel(directory))] if request.param == NEWEST else []  # the other has no pip
        done = work.raybundle("submit", *options, *secrets, *hook, *files, "rounds.py", *wheels)
        lines = [line[6:] for line in done.stdout.splitlines() if line.startswith("ROUND ")]
        yield Driven(head, directory, dict(map(json.loads, lines)), done)


def test_every_round_of_ray_init_runs(driven: Driven) -> None:
    assert driven.done.returncode == 0, driven.done.stdout + driven.done.stderr
    assert "Failed to merge" not in driven.done.stdout


IN_THE_BUNDLE = (
    *("plain", "copied", "near", "again", "callable", "named", "folder", "modules", "bundle variables"),
    *("child", "uv run", "popped"),
)


@pytest.mark.parametrize("name", IN_THE_BUNDLE)
def test_tasks_and_actors_stay_in_the_bundle(driven: Driven, name: str) -> None:
    [plain, _] = driven.rounds["plain"]

    assert plain["bundle"][0].startswith("sha256:")
    assert "/trees/" in plain["path"][0]
    for worker in driven.rounds[name]:
        assert worker["checked"]
        assert (worker["bundle"], worker["path"]) == (plain["bundle"], plain["path"])
        assert "/environments/" in worker["layer"]


@pytest.mark.parametrize(
    ("name", "level", "flag"),
    [
        ("plain", "far", None),
        ("copied", "far", "on"),
        ("near", "near", "on"),
        ("again", "near", "on"),
        ("callable", "far", "on"),
        ("named", "far", None),
        ("child", "child", "task"),
        ("uv run", "child", "task"),
        ("popped", "near", None),
    ],
)
def test_what_the_driver_writes_is_what_its_tasks_see(
    driven: Driven, name: str, level: str, flag: str | None
) -> None:
    seen = [[worker["env"]["LEVEL"], worker["env"]["MY_FLAG"]] for worker in driven.rounds[name]]

    assert seen == [[level, flag]] * 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plain", "as submitted"), ("callable", "callable after True"), ("named", "by name")],
)
def test_the_hook_nearest_to_the_worker_runs_after_the_bundles_own(
    driven: Driven, name: str, expected: str
) -> None:
    assert [worker["env"]["CONFIGURED"] for worker in driven.rounds[name]] == [expected] * 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [("near", "of the project\n"), ("named", "of the project\n"), ("folder", "of scripts\n")],
)
def test_workers_start_in_the_directory_that_working_dir_means(
    driven: Driven, name: str, expected: str
) -> None:
    assert [worker["values"] for worker in driven.rounds[name]] == [expected] * 2


def test_a_logging_config_reaches_the_workers(driven: Driven) -> None:
    plain, configured = (
        [worker["handlers"] for worker in driven.rounds[name]] for name in ("plain", "callable")
    )

    assert "JSONFormatter" not in str(plain)
    assert configured == [["JSONFormatter"]] * 2


def test_a_hook_that_the_node_has_set_is_called_as_well(driven: Driven) -> None:
    assert {worker["env"]["ADDED"] for worker in driven.rounds["near"]} == {"by the node"}


def test_a_task_with_a_copy_of_the_environment_stays_in_the_bundle(driven: Driven) -> None:
    [plain, _] = driven.rounds["plain"]
    *workers, [child_path, child_file] = driven.rounds["tasks"]

    assert [worker["env"]["MY_FLAG"] for worker in workers] == ["task", "task", None]
    for worker in workers:
        assert worker["checked"]
        assert (worker["bundle"], worker["path"], worker["hook"]) == (
            plain["bundle"],
            plain["path"],
            plain["hook"],
        )
    assert child_path == ["", *plain["path"]]
    assert "/trees/" in child_file


def test_pip_of_a_task_with_a_copy_of_the_environment_is_installed_and_the_task_is_checked(
    driven: Driven,
) -> None:
    if "pip" not in driven.rounds:
        pytest.skip("the environment of the oldest Ray has no pip")
    [plain, _] = driven.rounds["plain"]
    version, worker = driven.rounds["pip"]

    assert version == "1.0"
    assert worker["checked"]
    assert worker["path"][0] == plain["path"][0]


def test_a_copy_of_the_environment_holds_no_secret(driven: Driven) -> None:
    shown = driven.rounds["shown"]

    assert {worker["env"]["TOKEN"] for worker in driven.rounds["copied"]} == {SECRET}
    assert shown["env_vars"]["MY_FLAG"] == "task"
    assert SECRET not in json.dumps(shown)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("elsewhere", "is not a directory of the bundle"),
        ("uri", "`working_dir` s3://bucket/code.zip of ray.init is not a directory of the bundle"),
        ("other modules", "is not on the path of the bundle"),
    ],
)
def test_code_from_elsewhere_is_refused_where_the_driver_names_it(
    driven: Driven, name: str, expected: str
) -> None:
    assert driven.rounds[name].startswith("RuntimeError: raybundle: ")
    assert expected in driven.rounds[name]


@ON_THE_NEWEST
@pytest.mark.parametrize(
    ("script", "expected"),
    [("init_environ.py", "init ('on', 'lib.inner')"), ("merge_env.py", "ok")],
)
def test_a_driver_that_copies_its_environment_runs(
    driven: Driven, tmp_path: Path, script: str, expected: str
) -> None:
    work = driven.workplace(tmp_path / "work")

    done = work.raybundle("submit", script)

    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout.splitlines()


ELSEWHERE = """
import os
import ray

ray.init(runtime_env={"working_dir": "/opt/code", "py_modules": ["vendor/extra"]})

@ray.remote
def task():
    import extra
    return extra.NAME

print("REPORT", ray.get(task.remote()))
"""


@ON_THE_NEWEST
def test_following_the_hints_about_code_from_elsewhere_settles_them(driven: Driven, tmp_path: Path) -> None:
    work = driven.workplace(tmp_path / "work")
    job, project = work.directory / "job.py", work.directory / "pyproject.toml"
    job.write_text(ELSEWHERE)
    project.write_text("")
    (work.directory / "vendor" / "extra").mkdir(parents=True)
    (work.directory / "vendor" / "extra" / "__init__.py").write_text("NAME = 'extra'\n")

    refused = work.raybundle("build", "job.py")
    job.write_text(ELSEWHERE.replace(', "py_modules": ["vendor/extra"]', ""))
    project.write_text("[tool.raybundle]\nroots = ['vendor']\n")
    warned = work.raybundle("build", "--strict", "job.py")
    job.write_text(job.read_text().replace('"/opt/code"', "os.path.dirname(os.__file__)"))
    failed = work.raybundle("submit", "--strict", "job.py")
    job.write_text(job.read_text().replace("os.path.dirname(os.__file__)", '"."'))
    done = work.raybundle("submit", "--strict", "job.py")

    assert refused.returncode == warned.returncode == 3
    assert "`py_modules` in the runtime_env of `ray.init` cannot be combined" in refused.stderr
    assert "given at job.py:5" in refused.stderr
    assert "in `roots` of [tool.raybundle]" in refused.stderr
    assert "job.py:5: `working_dir` '/opt/code' of `ray.init`" in warned.stderr
    assert "or write '.'" in warned.stderr
    assert failed.returncode == 20
    assert f"raybundle: `working_dir` {Path(os.__file__).parent} of ray.init" in failed.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert "REPORT extra" in done.stdout.splitlines()
    assert "warning" not in done.stderr


@ON_THE_NEWEST
def test_following_the_hint_about_a_hook_that_is_not_in_the_bundle_settles_it(
    driven: Driven, tmp_path: Path
) -> None:
    work = driven.workplace(tmp_path / "work")
    job = work.directory / "job.py"
    job.write_text("import seen\nprint(seen.look()[0]['env'])\n")
    hook = ("--runtime-env-json", '{"worker_process_setup_hook": "lib.hooks.submitted"}')

    refused = work.raybundle("submit", *hook, "job.py")
    job.write_text(f"# raybundle: include=lib.hooks\n{job.read_text()}")
    done = work.raybundle("submit", *hook, "job.py")

    assert refused.returncode == 2
    assert "`lib.hooks` is not in the bundle" in refused.stderr
    assert "`# raybundle: include=lib.hooks`" in refused.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    assert "'CONFIGURED': 'as submitted'" in done.stdout


CLIENT = """\
import json
import sys

import ray
import raybundle

for tries in range(3):  # Ray gives the server of a client 30 s to start
    try:
        ray.init(sys.argv[1], runtime_env=raybundle.runtime_env(__file__))
        break
    except ConnectionAbortedError:
        continue


@ray.remote
class Worker:
    def where(self):
        import late

        return [late.WORD, late.__file__, sys.path[0]]


workers = [Worker.remote(), Worker.remote()]
print("REPORT " + json.dumps(ray.get([each.where.remote() for each in workers])))
"""


@pytest.mark.parametrize("driven", [NEWEST], indirect=True)
def test_workers_of_a_ray_client_have_the_bundle(driven: Driven, tmp_path: Path) -> None:
    work = driven.workplace(tmp_path / "work")
    tree(work.directory / "apart", {"pyproject.toml": "", "client.py": CLIENT, "late.py": 'WORD = "late"\n'})

    done = work.command([sys.executable, "client.py", driven.head.client], cwd=work.directory / "apart")

    assert done.returncode == 0, done.stdout + done.stderr
    [found] = reports(done.stdout)
    for word, file, first in found:
        assert (word, file) == ("late", f"{first}/late.py")
        assert f"/tmp/raybundle-{os.getuid()}/trees/" in first
