from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.cluster.access import make_access
from raybundle.cluster.embedded import cluster as local
from raybundle.cluster.embedded.processes import Process, find_family, find_process, read_table
from raybundle.cluster.embedded.record import LocalCluster, state_directory, write_record
from raybundle.cluster.embedded.token import token_for
from raybundle.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.ray

REPOSITORY = Path(__file__).resolve().parents[4]

SMALL = local.LocalOptions(num_cpus=1, object_store_memory=100_000_000)

UP = """
from raybundle.cluster.embedded import cluster as local
print(local.up({python!r}, local.LocalOptions(1, 100_000_000)).address)
"""


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory and a home of its own, without a token of Ray; whatever runs from it is ended."""
    monkeypatch.setenv("RAYBUNDLE_LOCAL_STATE", str(tmp_path / "state"))
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    yield tmp_path / "state"
    local.down()


def start_up(state: Path) -> subprocess.Popen[str]:
    """Another process that calls `up`."""
    return subprocess.Popen(
        [sys.executable, "-c", UP.format(python=sys.executable)],
        cwd=REPOSITORY,
        env={**os.environ, "RAYBUNDLE_LOCAL_STATE": str(state)},
        stdout=subprocess.PIPE,
        text=True,
    )


def call(url: str, body: dict[str, Any] | None = None) -> Any:
    data = json.dumps(body).encode() if body else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {"Content-Type": "application/json", **make_access(url, token_for(url)).headers}
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - http
    with opener.open(request, timeout=60) as response:
        return json.load(response)


def run_job(cluster: LocalCluster, entrypoint: str, *, until: set[str]) -> str:
    """Submits a job and returns its log once its status is one of `until`."""
    job = call(f"{cluster.address}/api/jobs/", {"entrypoint": entrypoint})["submission_id"]
    deadline = time.monotonic() + 60
    while call(f"{cluster.address}/api/jobs/{job}")["status"] not in until:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    log: str = call(f"{cluster.address}/api/jobs/{job}/logs")["logs"]
    return log


def living(cluster: LocalCluster) -> set[Process]:
    return find_family(cluster.processes)


def listening_addresses(pids: set[int]) -> set[str]:
    """The addresses on which these processes listen, from /proc (proc(5): state 0A, little-endian words)."""
    sockets = set()
    for pid in pids:
        sockets |= {
            str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()
        }
    found = set()
    for line in [
        line for kind in ("tcp", "tcp6") for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    ]:
        _, where, _, status, *_, inode = line.split()[:10]
        if status == "0A" and f"socket:[{inode}]" in sockets:
            words = bytes.fromhex(where.split(":")[0])
            found.add(ip_address(b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))))
    return {str(getattr(address, "ipv4_mapped", None) or address) for address in found}


def test_of_twenty_parallel_ups_one_starts_a_cluster_which_survives_it_and_down_ends_that_alone(
    state: Path, spaced: tuple[LocalCluster, Path]
) -> None:
    umask = os.umask(0)
    callers = [start_up(state) for _ in range(20)]
    os.umask(umask)
    addresses = {caller.communicate(timeout=120)[0] for caller in callers}
    leaders = [entry for entry in read_table().values() if leads(entry.process.pid, entry.session, state)]
    cluster = local.status()

    assert cluster is not None
    assert addresses == {f"{cluster.address}\n"}
    assert local.up(sys.executable) == cluster
    assert len(leaders) == 1
    assert os.getpgid(cluster.pids[0]) != os.getpgid(0)
    assert Path(cluster.temp_dir).stat().st_mode & 0o777 == 0o700
    listening = listening_addresses({process.pid for process in living(cluster)})
    assert listening
    assert listening <= {"127.0.0.1", "::1"}
    assert_down_ends_exactly(cluster, state, *spaced)


@pytest.fixture
def spaced(tmp_path: Path) -> Iterator[tuple[LocalCluster, Path]]:
    """A cluster of an environment with a space in its path, on which a job has run; and its state."""
    environment, state = tmp_path / "an environment", tmp_path / "other state"
    environment.symlink_to(sys.prefix)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYBUNDLE_LOCAL_STATE", str(state))
        cluster = local.up(str(environment / "bin" / "python"), SMALL)
        job = "python -c 'import ray; ray.init(); print(6 * 7)'"
        assert run_job(cluster, job, until={"SUCCEEDED"}).endswith("42\n")
    yield cluster, state
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYBUNDLE_LOCAL_STATE", str(state))
        local.down()


def leads(pid: int, session: int, state: Path) -> bool:
    """Whether a process leads a session whose output goes to the log of this state directory."""
    try:
        return pid == session and Path(f"/proc/{pid}/fd/1").readlink() == state / "ray.log"
    except OSError:
        return False


def assert_down_ends_exactly(cluster: LocalCluster, state: Path, other: LocalCluster, others: Path) -> None:
    """Ends one of two clusters, and what `up` made for it."""
    run_job(cluster, "exec sleep 4321", until={"RUNNING"})
    family, living_others = living(cluster), living(other)

    token = state / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert local.down()
    assert not token.exists()
    assert not any(find_process(process.pid) == process for process in family)
    assert not Path(cluster.temp_dir).exists()
    assert local.status() is None
    assert not local.down()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAYBUNDLE_LOCAL_STATE", str(others))
        assert set(other.processes) <= living_others
        assert {process for process in other.processes if find_process(process.pid) != process} == set()
        assert local.status() == other
        assert local.down()


def test_down_removes_what_a_killed_up_left(state: Path) -> None:
    caller = start_up(state)
    record = state / "cluster.json"
    while not record.exists():
        time.sleep(0.01)
    time.sleep(1)
    caller.kill()
    caller.communicate()
    leader = Process(**json.loads(record.read_text())["processes"][0])

    assert find_process(leader.pid) == leader
    assert local.down()
    assert find_family([leader]) == set()


def test_a_record_from_before_a_reboot_harms_nobody(state: Path, tmp_path: Path) -> None:
    innocent = Process(os.getpid(), "another boot:1234")
    cluster = LocalCluster("http://127.0.0.1:1", sys.executable, "2.60.0", str(tmp_path / "old"), (innocent,))
    state_directory()
    write_record(cluster)

    assert local.status() is None
    assert not local.down()
    assert not (state / "cluster.json").exists()


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """An interpreter that has nothing installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    return str(tmp_path / "bare" / "bin" / "python")


def test_where_nobody_has_ray_the_error_says_what_to_install(state: Path, bare: str) -> None:
    up = (
        "import sys\nfrom raybundle.cluster.embedded import cluster as local\n"
        "from raybundle.errors import ClusterError\n"
        "try: local.up(sys.executable)\nexcept ClusterError as error: print(error, error.hint)\n"
    )
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), "RAYBUNDLE_LOCAL_STATE": str(state)}

    done = subprocess.run([bare, "-c", up], env=environ, capture_output=True, text=True, check=True)

    assert "No module named" in done.stdout
    assert "raybundle[ray]" in done.stdout
    assert not (state / "cluster.json").exists()


def test_a_failed_start_shows_the_end_of_rays_output_and_leaves_nothing(state: Path) -> None:
    with pytest.raises(ClusterError, match="ended while it started"):
        local.up(sys.executable, local.LocalOptions(object_store_memory=1))
    assert not (state / "cluster.json").exists()


IMPATIENT = """
import importlib.abc, os, sys

class GivesUpOnce(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "ray" and "start" in sys.orig_argv and not os.path.exists({tries!r}):
            open({tries!r}, "w").close()
            sys.exit("Exception: The current node timed out during startup. This could happen because")

sys.meta_path.insert(0, GivesUpOnce())
"""


def give_ray(bare: str, tried: Path) -> None:
    """Has an interpreter find Ray, whose first start gives up on its raylet."""
    [site] = Path(bare).parents[1].glob("lib/python3*/site-packages")
    (site / "impatient.py").write_text(IMPATIENT.format(tries=str(tried)), "utf-8")
    packages = os.fspath(Path(pytest.__file__).parents[1])
    (site / "impatient.pth").write_text(f"{packages}\nimport impatient\n", "utf-8")


def test_a_dead_head_is_noticed_and_replaced_also_if_the_first_start_gives_up_and_our_home_has_a_token(
    state: Path, bare: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("0123456789abcdef" * 4)

    assert not state.exists()
    dead = local.up(bare, SMALL)
    assert Path(dead.python).parent == Path(sys.executable).parent  # the Ray beside raybundle serves it
    os.kill(dead.pids[0], signal.SIGKILL)
    while find_process(dead.pids[0]):
        time.sleep(0.05)

    assert local.status() is None
    give_ray(bare, tried := tmp_path / "tried")
    replaced = local.up(bare, SMALL)
    assert replaced.address != dead.address
    assert (Path(replaced.python), tried.exists()) == (Path(bare), True)
    assert living(dead) == set()
    assert not Path(dead.temp_dir).exists()


@pytest.mark.all_jobs
def test_a_cluster_that_an_earlier_version_started_is_told_of_until_the_next_start(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr("raybundle.cluster.embedded.token.SINCE", (1_000, 0))
        local.up(sys.executable, SMALL)
    command = [sys.executable, "-m", "raybundle", "local"]

    told = subprocess.run([*command, "status"], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    subprocess.run([*command, "down"], check=True, cwd=REPOSITORY)
    local.up(sys.executable, SMALL)
    after = subprocess.run([*command, "status"], capture_output=True, text=True, check=True, cwd=REPOSITORY)

    assert "they run as you: it was started without a token" in told.stderr
    assert "hint: `raybundle local down` ends it" in told.stderr
    assert after.stderr == ""
    assert list(state.glob("auth_token"))
