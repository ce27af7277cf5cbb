"""The oldest Ray that works beside the one of the other tests: the same import table, the same commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.cluster.embedded.record import LocalCluster
from tests.support.booting import PRIVATE
from tests.support.lacking import required_environment
from tests.support.nodes import node_environment
from tests.support.ray_head import RayHead, ray_head
from tests.support.workplace import Workplace, make_workplace, reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.s3_server import S3Server

pytestmark = pytest.mark.ray

ANSWERED = {("driver", True), ("task", True)}
"""What `path` says of the processes of a node, if both have the path of the boot."""

PROCESSES = ("driver", "task", "actor", "child")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one cluster made of the project `ray_versions`."""

    version: str
    bundle: str
    tables: dict[str, Any]
    """The import table of each kind of process."""


@dataclass(frozen=True, slots=True)
class OldRay:
    """A cluster of the oldest Ray, in the place where the newest one ran before it."""

    head: RayHead
    store: Path
    """A local one: what lies in it reaches the cluster through the Jobs API."""
    before: Seen
    after: Seen

    def workplace(self, directory: Path, project: str) -> Workplace:
        return make_workplace(
            directory, project, RAYBUNDLE_ADDRESS=self.head.address, RAYBUNDLE_STORE=str(self.store)
        )


def require_old_ray() -> Path:
    """Returns the environment of the oldest Ray; skips the test without one, and in CI that is a failure."""
    return required_environment("RAYBUNDLE_TEST_OLD_RAY_ENV", "the oldest Ray")


@pytest.fixture(scope="module")
def old_ray(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldRay]:
    """Both Rays, one after the other in the same place, as on a cluster that goes back to the older."""
    oldest, newest = require_old_ray(), node_environment()
    directory = tmp_path_factory.mktemp("ray")
    place, store = directory / "env", s3.prefix()
    place.symlink_to(newest)
    with ray_head(place / "bin" / "python", s3.environ) as head:
        before = look(head, s3, store, directory / "before")
    place.unlink()
    place.symlink_to(oldest)
    with ray_head(place / "bin" / "python", s3.environ) as head:
        yield OldRay(head, directory / "store", before, look(head, s3, store, directory / "after"))


def look(head: RayHead, s3: S3Server, store: str, directory: Path) -> Seen:
    """Runs the project from a store that the cluster reads itself."""
    work = make_workplace(directory, "ray_versions", **s3.environ)
    done = work.raybundle("--json", "--address", head.address, "--store", store, "submit", "jobs/job.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning: could not look at the nodes" not in done.stderr
    assert "looking at the nodes" in done.stderr
    [tables] = reports(done.stderr)
    return Seen(head.version, json.loads(done.stdout)["bundle"], tables)


def test_the_same_bundle_has_the_same_import_table_on_the_oldest_and_the_newest_ray(old_ray: OldRay) -> None:
    before, after = old_ray.before, old_ray.after

    assert (2, 49) <= minor_of(after.version) < minor_of(before.version)
    assert {after.tables[name]["ray"] for name in PROCESSES} == {after.version}
    assert {before.tables[name]["ray"] for name in PROCESSES} == {before.version}
    assert after.bundle == before.bundle
    for name in PROCESSES:
        assert after.tables[name] | {"ray": before.version} == before.tables[name]


def minor_of(version: str) -> tuple[int, int]:
    major, minor, _ = version.split(".", 2)
    return int(major), int(minor)


@pytest.mark.parametrize("name", PROCESSES)
def test_on_the_oldest_ray_each_process_has_the_path_of_the_driver_without_the_nodes_packages(
    old_ray: OldRay, name: str
) -> None:
    path, table = old_ray.after.tables["driver"]["path"], old_ray.after.tables[name]

    assert table["path"] == (["", *path] if name == "child" else path)
    assert not any(entry.endswith("-packages") for entry in path)
    assert not table["boto3"]
    assert {"app.core", "appended", "late", "shared", "shared.right"} <= set(table["modules"])


def test_on_the_oldest_ray_each_run_has_a_directory_that_its_processes_share(
    old_ray: OldRay, tmp_path: Path
) -> None:
    work = old_ray.workplace(tmp_path / "work", "scratch_nodes")
    (work.directory / "experiments").mkdir()

    done = [work.raybundle("submit", "../job.py", cwd=work.directory / "experiments") for _ in range(2)]

    for each in done:
        assert each.returncode == 0, each.stdout + each.stderr
        [[first, *others]] = reports(each.stdout)
        assert first[1:] == ["experiments", [], 1]
        assert [other[1:] for other in others] == [["experiments", ["counts.db"], n] for n in (2, 3)]


def test_on_the_oldest_ray_doctor_and_path_ask_the_nodes(old_ray: OldRay, tmp_path: Path) -> None:
    work = old_ray.workplace(tmp_path / "work", "exits")

    doctor = work.raybundle("--json", "doctor", "job.py")
    path = work.raybundle("--json", "path", "job.py")

    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert path.returncode == 0, path.stdout + path.stderr
    processes = json.loads(path.stdout)["processes"]
    assert {(each["process"], each["as_boot"]) for each in processes} == ANSWERED


def test_on_the_oldest_ray_the_embedded_cluster_is_known_to_be_running(
    old_ray: OldRay, tmp_path: Path
) -> None:
    head = old_ray.head
    cluster = LocalCluster(head.address, sys.executable, head.version, str(head.temp_dir), head.processes)
    (tmp_path / "cluster.json").write_text(json.dumps(asdict(cluster)))
    work = make_workplace(tmp_path / "work", RAYBUNDLE_LOCAL_STATE=str(tmp_path))

    status = work.raybundle("local", "status")

    assert status.stdout == f"{head.address}\n", status.stderr
    assert f"they run as you: Ray {head.version} has no token authentication" in status.stderr


@pytest.mark.parametrize(
    ("words", "options", "expected"),
    [
        (["code", "7"], [], 20),
        (["code", "7"], ["--exit-code", "job"], 7),
        (["kill"], [], 20),
    ],
)
def test_on_the_oldest_ray_the_exit_code_says_how_the_job_ended(
    old_ray: OldRay, tmp_path: Path, words: list[str], options: list[str], expected: int
) -> None:
    work = old_ray.workplace(tmp_path / "work", "exits")

    done = work.raybundle("submit", *options, "job.py", *words)

    assert done.returncode == expected, done.stdout + done.stderr


def test_on_the_oldest_ray_jobs_are_listed_read_and_stopped(old_ray: OldRay, tmp_path: Path) -> None:
    work = old_ray.workplace(tmp_path / "work", "exits")
    name = f"stopped-{tmp_path.name}"
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(work.raybundle, "submit", "--submission-id", name, "job.py", "sleep", "60")
        while "STARTED" not in work.raybundle("logs", name).stdout:
            assert not job.done(), job.result().stderr
        listed = json.loads(work.raybundle("--json", "list").stdout)["jobs"]

        stopped = work.raybundle("stop", name)

        assert job.result().returncode == 21, job.result().stderr
    assert {one["submission_id"]: one["status"] for one in listed}[name] == "RUNNING"
    assert stopped.stdout == work.raybundle("status", name).stdout == "STOPPED\n"


def test_on_the_oldest_ray_the_log_of_a_running_job_is_followed_to_its_end(
    old_ray: OldRay, tmp_path: Path
) -> None:
    work = old_ray.workplace(tmp_path / "work", "exits")
    name = f"followed-{tmp_path.name}"
    work.raybundle("submit", "--no-wait", "--submission-id", name, "job.py", "sleep", "3")

    followed = work.raybundle("logs", "-f", name)

    assert followed.returncode == 0, followed.stderr
    assert followed.stdout.count("STARTED\n") == 1


@pytest.mark.parametrize(
    ("damage", "expected"), [("file", "file project/helper.py"), ("boot", "expected the boot")]
)
def test_on_the_oldest_ray_a_worker_that_does_not_boot_runs_nothing_and_is_named(
    old_ray: OldRay, tmp_path: Path, damage: str, expected: str
) -> None:
    work = spoiled(old_ray, tmp_path)

    done = work.raybundle("submit", "job.py", damage)

    assert done.returncode == 22, done.stdout + done.stderr
    outcomes = [line.split()[:2] for line in done.stdout.splitlines() if line.startswith(("RAN", "REFUSED"))]
    assert outcomes == [["REFUSED", "actor"], ["REFUSED", "task"]]
    [line] = [line for line in done.stderr.splitlines() if "raybundle: boot failed: bundle sha256:" in line]
    assert expected in line


def spoiled(old_ray: OldRay, tmp_path: Path) -> Workplace:
    """A project that no other test has built: what a node keeps of a bundle is by its digest."""
    work = old_ray.workplace(tmp_path / "work", "spoils")
    with (work.directory / "helper.py").open("a") as stream:
        stream.write(f"# {time.time_ns()}\n")
    return work


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount what the boot cannot mend")
def test_on_the_oldest_ray_a_job_whose_first_process_does_not_boot_could_not_start(
    old_ray: OldRay, tmp_path: Path
) -> None:
    work = spoiled(old_ray, tmp_path)
    digest = work.build("job.py")
    in_the_way = PRIVATE / "trees" / digest.removeprefix("sha256:")
    in_the_way.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", in_the_way], check=True)

    try:
        done = work.raybundle("submit", "job.py", "nothing")
    finally:
        subprocess.run(["umount", in_the_way], check=True)
        in_the_way.rmdir()

    assert done.returncode == 22, done.stdout + done.stderr
    assert f"raybundle: boot failed: bundle {digest}: node " in done.stderr
    assert "RAN" not in done.stdout


def test_on_the_oldest_ray_a_job_whose_environment_cannot_be_made_could_not_start(
    old_ray: OldRay, tmp_path: Path
) -> None:
    work = old_ray.workplace(tmp_path / "work", "exits")
    name = f"environment-{tmp_path.name}"
    missing = {"working_dir": f"file://{tmp_path}/missing.zip"}
    body = {"entrypoint": "true", "submission_id": name, "runtime_env": missing}
    request = urllib.request.Request(  # noqa: S310 - http, to this machine
        f"{old_ray.head.address}/api/jobs/",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        assert answer.status == 200

    done = work.raybundle("attach", name)

    assert done.returncode == 22, done.stdout + done.stderr
    assert "missing.zip" in done.stderr
