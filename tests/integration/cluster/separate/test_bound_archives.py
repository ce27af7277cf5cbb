"""Whoever can write to the store cannot run code: the node compares every archive before it is importable."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import signal
import struct
import sys
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.support.booting import PRIVATE
from tests.support.own_wheels import make_small_environment, make_wheel
from tests.support.proxy import Proxy
from tests.support.ray_head import ray_head
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator

    from tests.support.s3_server import S3Server
    from tests.support.workplace import Workplace

pytestmark = [pytest.mark.ray, pytest.mark.slow]

LAYERS = 20
"""Distributions of the user: each test has one that no node has unpacked."""
LARGE = (1 << 20) + 1
"""Random bytes that make each of them unique, and too large to come from the cluster's head."""
ONE_LINE = re.compile(
    r"^error: raybundle: boot failed: bundle sha256:[0-9a-f]{64}: node .+: "
    r"file (?P<file>\S+): expected (?P<expected>.+), found (?P<found>.+)$",
    re.MULTILINE,
)


JOB = "import {0}\nprint('RAN', {0}.X)\n"
ACTORS = """
import ray, {0}

@ray.remote(num_cpus=0.1)
class Actor:
    def look(self):
        import os, {0}
        return os.stat({0}.__file__).st_ino

actors = [Actor.remote() for _ in range(8)]
print("RAN", len(set(ray.get([actor.look.remote() for actor in actors]))))
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """A user whose nodes read an S3 store to which somebody else can write too."""

    work: Workplace
    python: Path
    bucket: Any
    prefix: str
    proxy: Proxy
    unused: list[str]

    def build(self, job: str = JOB) -> tuple[str, str]:
        """Builds a bundle with a layer of its own; returns the bundle's digest and the layer's key."""
        name, before = self.unused.pop(), self.keys("layers/")
        (self.work.directory / "job.py").write_text(job.format(name))
        digest = self.work.build("--python", str(self.python), "job.py")
        [key] = self.keys("layers/") - before
        return digest, key

    def keys(self, folder: str) -> set[str]:
        return {item.key for item in self.bucket.objects.filter(Prefix=f"{self.prefix}/{folder}")}

    def read(self, key: str) -> bytes:
        data: bytes = self.bucket.Object(key).get()["Body"].read()
        return data

    def submit(self) -> subprocess.CompletedProcess[str]:
        return self.work.raybundle("submit", "--python", str(self.python), "job.py")


@pytest.fixture(scope="module")
def scene(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory, store = tmp_path_factory.mktemp("bound"), s3.prefix()
    names = [f"layer{number}" for number in range(LAYERS)]
    contents = {name: {f"{name}.py": b"X = 1\n", f"{name}.bin": os.urandom(LARGE)} for name in names}
    wheels = [make_wheel(directory, name, "1.0", files) for name, files in contents.items()]
    python = make_small_environment(directory / "env", *wheels)
    session = boto3.Session(s3.rw.access, s3.rw.secret, region_name="us-east-1")
    bucket = session.resource("s3", endpoint_url=s3.endpoint).Bucket(s3.bucket)
    with (
        Proxy(s3.endpoint) as proxy,
        ray_head(env={**s3.environ, "AWS_ENDPOINT_URL": proxy.address}, num_cpus=8) as head,
    ):
        environ = {**s3.environ, "RAYBUNDLE_ADDRESS": head.address, "RAYBUNDLE_STORE": store}
        work = make_workplace(directory / "work", **environ)
        yield Scene(work, python, bucket, store.removeprefix(f"s3://{s3.bucket}/"), proxy, names)


def members(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(name, archive.read(name)) for name in archive.namelist()]


def zipped(contents: list[tuple[str, bytes]], comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in contents:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
        archive.comment = comment
    return buffer.getvalue()


def planted(data: bytes, name: str, marker: Path) -> bytes:
    """The archive with a module that Python imports before any boot, if it is on PYTHONPATH."""
    code = f"import posix\nposix.close(posix.open({str(marker)!r}, posix.O_WRONLY | posix.O_CREAT))\n"
    return zipped([*members(data), (name, code.encode())])


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1
    return bytes(changed)


def commented(data: bytes) -> bytes:
    """Only the end of the zip changes: every member is what it was."""
    return data[:-2] + struct.pack("<H", 4) + b"note"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a bit is flipped": flipped,
    "it is cut": lambda data: data[:-40],
    "bytes follow it": lambda data: data + b"\0" * 7,
    "it has a member more": lambda data: zipped([*members(data), ("more.txt", b"more")]),
    "its members have another order": lambda data: zipped(members(data)[::-1]),
    "it has a comment": commented,
}


USUAL = ("a bit is flipped", "it has a comment")
"""The others run with `--all`: one hash decides; test_boot_fetch.py damages archives without a cluster."""


@pytest.mark.parametrize(
    "damage", [pytest.param(each, marks=[] if each in USUAL else pytest.mark.wide) for each in DAMAGES]
)
def test_a_layer_archive_of_other_bytes_is_refused_with_one_line(scene: Scene, damage: str) -> None:
    digest, key = scene.build()
    data = scene.read(key)
    changed = DAMAGES[damage](data)
    assert changed != data
    scene.bucket.put_object(Key=key, Body=changed)

    done = scene.work.raybundle("run", digest)

    assert done.returncode == 22, done.stderr
    assert "RAN" not in done.stdout
    [line] = ONE_LINE.finditer(done.stderr)
    assert line["file"] == f"s3://{scene.bucket.name}/{key}"
    assert hashlib.sha256(data).hexdigest() in line["expected"]


REGISTER_SECONDS = 60
"""Ray's `worker_register_timeout_seconds`."""
PLANTED = ("sitecustomize.py", "encodings/__init__.py")
"""What every Python imports while it starts, from PYTHONPATH before the standard library."""


@pytest.mark.parametrize("name", PLANTED)
def test_a_module_that_is_planted_in_a_layer_archive_never_runs(
    scene: Scene, tmp_path: Path, name: str
) -> None:
    digest, key = scene.build()
    marker = tmp_path / "ran"
    scene.bucket.put_object(Key=key, Body=planted(scene.read(key), name, marker))

    again = scene.work.raybundle("run", digest)
    from_source = scene.submit()

    assert not marker.exists()
    assert (again.returncode, from_source.returncode) == (22, 3), again.stderr + from_source.stderr
    assert "RAN" not in again.stdout + from_source.stdout


def test_a_member_that_is_planted_in_the_archive_of_a_bundle_never_reaches_the_cluster(
    scene: Scene, tmp_path: Path
) -> None:
    digest, _ = scene.build()
    [key] = [key for key in scene.keys(f"bundles/{digest[7:]}/") if key.endswith(".zip")]
    bad = planted(scene.read(key), "encodings/__init__.py", tmp_path / "ran")
    boot = key.rpartition("/")[2][:64]
    scene.bucket.Object(key).delete()
    other = f"{key.rpartition('/')[0]}/{boot}-{hashlib.sha256(bad).hexdigest()}"
    scene.bucket.put_object(Key=f"{other}.zip", Body=bad)
    scene.bucket.put_object(Key=f"{other}.json", Body=scene.read(f"{key[:-4]}.json"))

    done = scene.work.raybundle("run", digest)

    assert done.returncode == 3, done.stderr
    assert "expected the files of the bundle, found encodings/__init__.py too" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_the_boot_that_runs_is_that_of_the_client_whatever_boot_the_store_has(
    scene: Scene, tmp_path: Path
) -> None:
    digest, _ = scene.build()
    [key] = [key for key in scene.keys(f"bundles/{digest[7:]}/") if key.endswith(".zip")]
    code = f"open({str(tmp_path / 'ran')!r}, 'a')\n".encode()
    bad = zipped([(n, code if n == "sitecustomize.py" else d) for n, d in members(scene.read(key))])
    other = f"{key.rpartition('/')[0]}/{'0' * 64}-{hashlib.sha256(bad).hexdigest()}"
    scene.bucket.put_object(Key=f"{other}.zip", Body=bad)
    scene.bucket.put_object(Key=f"{other}.json", Body=scene.read(f"{key[:-4]}.json"))
    scene.bucket.Object(key).delete()

    done = scene.work.raybundle("run", digest)

    assert done.returncode == 0, done.stderr
    assert "\nRAN 1\n" in done.stdout
    assert not (tmp_path / "ran").exists()


def test_an_exported_runtime_env_fetches_its_layers_too(scene: Scene) -> None:
    digest, key = scene.build()
    before = len(scene.proxy.requests)
    exported = json.loads(scene.work.raybundle("--json", "export", digest, "--format", "runtime-env").stdout)
    ray = str(Path(sys.executable).with_name("ray"))
    words = [ray, "job", "submit", "--runtime-env-json", json.dumps(exported["runtime_env"])]

    plain = scene.work.command(
        [
            *words,
            "--address",
            scene.work.environ["RAYBUNDLE_ADDRESS"],
            "--",
            "sh",
            "-c",
            exported["entrypoint"],
        ]
    )

    assert plain.returncode == 0, plain.stdout + plain.stderr
    assert "RAN 1" in plain.stdout
    assert "py_modules" not in exported["runtime_env"]
    assert [r.method for r in scene.proxy.requests[before:] if key in r.path][-1] == "GET"


def test_eight_actors_on_a_cold_node_make_one_request_for_an_archive(scene: Scene) -> None:
    digest, key = scene.build(ACTORS)
    before = len(scene.proxy.requests)

    done = scene.work.raybundle("run", digest)

    assert done.returncode == 0, done.stderr
    assert "\nRAN 1\n" in done.stdout
    assert [r.method for r in scene.proxy.requests[before:] if key in r.path] == ["GET"]
    assert not (PRIVATE / "fetched" / hashlib.sha256(scene.read(key)).hexdigest()).exists()


def test_a_fetching_process_that_is_killed_is_started_again(scene: Scene) -> None:
    digest, _ = scene.build()

    with scene.work.started("run", digest) as running:
        fetching = wait_for_fetch(scene)
        os.kill(fetching, signal.SIGKILL)
        code, log, errors = running.end()

    assert code == 0, errors
    assert log.endswith(b"RAN 1\n")


def wait_for_fetch(scene: Scene) -> int:
    """Returns the process that fetches for this cluster, once there is one."""
    endpoint = f"AWS_ENDPOINT_URL={scene.proxy.address}".encode()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
                if b"raybundle_fetch.py" in words and endpoint in (entry / "environ").read_bytes():
                    return int(entry.name)
        time.sleep(0.005)
    raise AssertionError("nothing fetches")


@pytest.mark.all_jobs
def test_a_fetch_outlives_the_workers_that_ray_kills_while_they_wait(scene: Scene) -> None:
    digest, key = scene.build()
    before = len(scene.proxy.requests)

    with scene.work.started("run", digest) as running:
        fetching = wait_for_fetch(scene)
        os.kill(fetching, signal.SIGSTOP)
        time.sleep(REGISTER_SECONDS + 5)
        os.kill(fetching, signal.SIGCONT)
        code, log, errors = running.end()

    assert code == 0, errors
    assert log.endswith(b"RAN 1\n")
    assert [r.method for r in scene.proxy.requests[before:] if key in r.path] == ["GET"]


SUM = "import hashlib\nprint('RAN', hashlib.sha256(open('data/large.bin', 'rb').read()).hexdigest())\n"


def with_data(scene: Scene, size: int, *options: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Submits a job that reads a file of so many bytes, which no node has; returns its SHA-256, too."""
    data = os.urandom(size)
    (scene.work.directory / "data").mkdir(exist_ok=True)
    (scene.work.directory / "data/large.bin").write_bytes(data)
    return submit_sum(scene, *options), hashlib.sha256(data).hexdigest()


def submit_sum(scene: Scene, *options: str) -> subprocess.CompletedProcess[str]:
    (scene.work.directory / "job.py").write_text(f"{SUM}# {time.time_ns()}\n")
    return scene.work.raybundle(*options, "submit", "--include", "data/**", "job.py")


def test_a_large_file_is_sent_and_fetched_once_even_if_the_script_changes(scene: Scene) -> None:
    done, sha256 = with_data(scene, 3 << 20)
    fetched = [each.path for each in scene.proxy.requests if sha256 in each.path]
    again = submit_sum(scene)
    more = [each.path for each in scene.proxy.requests if sha256 in each.path]

    assert f"RAN {sha256}" in done.stdout, done.stdout + done.stderr
    assert f"RAN {sha256}" in again.stdout, again.stdout + again.stderr
    assert (len(fetched), len(more)) == (1, 1)


@pytest.mark.parametrize("damage", ["flipped", "cut", "absent"])
def test_a_large_file_that_differs_in_the_store_stops_the_next_job(scene: Scene, damage: str) -> None:
    data = os.urandom(2 << 20)
    (scene.work.directory / "data").mkdir(exist_ok=True)
    (scene.work.directory / "data/large.bin").write_bytes(data)
    (scene.work.directory / "job.py").write_text(SUM)
    digest = scene.work.build("--include", "data/**", "job.py")
    thing = scene.bucket.Object(f"{scene.prefix}/data/{hashlib.sha256(data).hexdigest()}")
    if damage == "absent":
        thing.delete()
    else:
        thing.put(Body=data[:-1] + (bytes([data[-1] ^ 1]) if damage == "flipped" else b""))

    done = scene.work.raybundle("run", digest)

    assert "RAN" not in done.stdout
    assert done.returncode == {"flipped": 22, "cut": 3, "absent": 4}[damage], done.stderr
    assert thing.key.rpartition("/")[2] in done.stderr


def test_a_large_file_is_relayed_in_parts_where_nodes_cannot_read_the_store(
    scene: Scene, tmp_path: Path
) -> None:
    done, sha256 = with_data(scene, 30 << 20, "--store", str(tmp_path / "store"))
    again = submit_sum(scene, "--store", str(tmp_path / "store"))

    assert f"RAN {sha256}" in done.stdout, done.stdout + done.stderr
    assert "relaying 1 object (30.0 MiB) to the cluster" in done.stderr
    assert f"RAN {sha256}" in again.stdout, again.stdout + again.stderr
    assert "relaying" not in again.stderr
