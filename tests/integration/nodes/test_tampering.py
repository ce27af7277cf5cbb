"""What is changed, cut or planted between the store and a process changes nothing or fails the job, fast."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.support.workplace import reports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.integration.nodes.conftest import ThreeNodes
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.nodes

UNPACKED = "/tmp/ray/session_latest/runtime_resources/working_dir_files"
CACHE = "/tmp/raybundle-0"
SOON = 30.0
"""Seconds by which a job with a damaged bundle has ended; 15 are promised, 3 to 6 usual, a hang takes 60."""
ONE_LINE = re.compile(
    r"^error: raybundle: boot failed: bundle (?P<bundle>sha256:[0-9a-f]{64}): node (?P<node>[^:]+): "
    r"file (?P<file>.+): expected (?P<expected>.+), found (?P<found>.+)$",
    re.MULTILINE,
)


def shell(cluster: ThreeNodes, node: str, command: str) -> str:
    return cluster.nodes.run(node, ["bash", "-c", command]).stdout


def unpacked(cluster: ThreeNodes, node: str, digest: str) -> str:
    """The directory to which Ray has unpacked a bundle on a node."""
    found = shell(cluster, node, f"ls -d {UNPACKED}/_ray_pkg_raybundle_*/")
    for directory in found.split():
        manifest = shell(cluster, node, f"sha256sum {directory}.raybundle/manifest.json || true")
        if manifest.startswith(digest[7:]):
            return directory.rstrip("/")
    raise AssertionError(f"{digest} is not on {node}: {found}")


def submit_json(work: Workplace, *words: str) -> tuple[dict[str, Any], str]:
    done = work.raybundle("--json", *words)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["exit_code"] == done.returncode
    return document, done.stderr


def assert_refused(document: dict[str, Any], stderr: str) -> re.Match[str]:
    """The job could not start, no line of the user's ran, and one line says what was wrong."""
    assert document["exit_code"] == 22, stderr
    assert document["status"] == "FAILED"
    assert "SUM" not in stderr
    assert document["timings"]["queue"] + document["timings"]["run"] < SOON
    [line] = ONE_LINE.finditer(stderr)
    assert line["bundle"] == document["bundle"]
    return line


def own_work(three_nodes: ThreeNodes, directory: Path) -> Workplace:
    """A project that no other test has built: what nodes keep of a bundle is by its digest."""
    work = three_nodes.workplace(directory / "work", "nodes_sibling")
    with (work.directory / "jobs" / "helper.py").open("a") as stream:
        stream.write(f"# {directory.name} {time.time_ns()}\n")
    return work


@pytest.fixture
def work(three_nodes: ThreeNodes, tmp_path: Path) -> Workplace:
    return own_work(three_nodes, tmp_path)


@dataclass(frozen=True, slots=True)
class Used:
    """A bundle that all nodes have run, so that they hold its unpacked archive."""

    nodes: ThreeNodes
    work: Workplace
    digest: str

    @contextmanager
    def changed(self, command: str, *nodes: str) -> Iterator[None]:
        """Runs a command in Ray's directory on nodes, and brings that back afterwards."""
        places = {node: unpacked(self.nodes, node, self.digest) for node in nodes}
        for node, place in places.items():
            shell(self.nodes, node, f"cp -a {place} /tmp/whole && cd {place} && {command}")
        try:
            yield
        finally:
            for node, place in places.items():
                shell(self.nodes, node, f"rm -r {place} && mv /tmp/whole {place}")

    @property
    def spoil(self) -> str:
        """Flips a byte of a module, on a node that has no verified copy any more."""
        return f"rm -rf {CACHE}/trees/{self.digest[7:]} && sed -i 's/2 \\*/3 */' jobs/helper.py"


@pytest.fixture(scope="module")
def used(three_nodes: ThreeNodes, tmp_path_factory: pytest.TempPathFactory) -> Used:
    work = own_work(three_nodes, tmp_path_factory.mktemp("used"))
    done = work.raybundle("--json", "submit", "jobs/job.py")
    assert done.returncode == 0, done.stderr
    assert len(three_nodes.nodes.names) == 3
    return Used(three_nodes, work, json.loads(done.stdout)["bundle"])


@pytest.mark.parametrize("damage", ["flipped", "cut"])
def test_a_damaged_archive_in_the_store_runs_no_user_code(
    three_nodes: ThreeNodes, work: Workplace, damage: str
) -> None:
    digest = work.build("jobs/job.py")
    bucket, key = archive_of(three_nodes, work, digest)
    data = bytearray(bucket.Object(key).get()["Body"].read())
    data[len(data) // 2] ^= 1
    bucket.put_object(Key=key, Body=bytes(data if damage == "flipped" else data[: len(data) // 2]))

    done = work.raybundle("--json", "run", digest)

    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert f"{key.partition('/')[2]} in " in done.stderr
    assert f"does not match its digest: expected sha256:{key[-68:-4]}, found " in done.stderr


def test_an_archive_that_vanishes_while_it_is_submitted_ends_the_submission(
    three_nodes: ThreeNodes, work: Workplace
) -> None:
    digest = work.build("jobs/job.py")
    bucket, key = archive_of(three_nodes, work, digest)
    script = (
        "import os, raybundle, sys; from raybundle.submission import submit\n"
        "deliver = submit.deliver\n"
        "def late(*words):\n"
        "    delivered = deliver(*words)\n"
        "    import boto3; boto3.resource('s3').Object(sys.argv[2], sys.argv[3]).delete()\n"
        "    return delivered\n"
        "submit.deliver = late\n"
        "from raybundle.cli import main\n"
        "sys.exit(main(['--json', 'run', sys.argv[1]]))\n"
    )
    done = work.command([sys.executable, "-c", script, digest, bucket.name, key])

    assert done.returncode == 4, done.stderr  # its run could not be repeated
    assert f"has lost {key.partition('/')[2]} since this command found it" in done.stderr
    assert reports(done.stderr) == []


def archive_of(cluster: ThreeNodes, work: Workplace, digest: str) -> tuple[Any, str]:
    """The bucket, and the key of a bundle's archive in it."""
    session = boto3.Session(cluster.s3.rw.access, cluster.s3.rw.secret, region_name="us-east-1")
    bucket = session.resource("s3", endpoint_url=cluster.s3.endpoint).Bucket(cluster.s3.bucket)
    prefix = work.environ["RAYBUNDLE_STORE"].removeprefix(f"s3://{cluster.s3.bucket}/")
    keys = [item.key for item in bucket.objects.filter(Prefix=f"{prefix}/bundles/{digest[7:]}/")]
    [key] = [key for key in keys if key.endswith(".zip")]
    return bucket, key


def test_a_bad_copy_on_the_head_fails_the_job_with_one_line(used: Used) -> None:
    with used.changed(used.spoil, "n0"):
        document, stderr = submit_json(used.work, "submit", "jobs/job.py")

    line = assert_refused(document, stderr)
    assert line["node"].startswith("n0")
    assert line["file"] == "project/jobs/helper.py"


def test_a_bad_copy_on_a_worker_node_fails_the_job_with_one_line_and_never_hangs(
    three_nodes: ThreeNodes, used: Used
) -> None:
    with used.changed(used.spoil, "n1"):
        document, stderr = submit_json(used.work, "run", used.digest)

    assert document["exit_code"] == 22, stderr
    assert reports(stderr) == []
    line = ONE_LINE.search(stderr)
    assert line is not None
    assert line["node"] == f"n1 ({three_nodes.nodes.node('n1').address})"
    assert line["file"] == "project/jobs/helper.py"
    assert document["timings"]["queue"] + document["timings"]["run"] < SOON


POISON = (
    "import importlib._bootstrap_external as e, os; f=os.path.abspath('jobs/helper.py'); s=os.stat(f);"
    "d=e._code_to_timestamp_pyc(compile({plant!r}, f, 'exec'), int(s.st_mtime), s.st_size);"
    "c=e.cache_from_source(f); os.makedirs(os.path.dirname(c), exist_ok=True); open(c,'wb').write(d)"
)
"""Writes byte-code of other code beside a module."""


def test_what_is_planted_beside_the_job_changes_nothing(three_nodes: ThreeNodes, used: Used) -> None:
    plant = "import os; os.system('touch /tmp/planted-code-ran')"
    files = ("numpy.py", "jobs/numpy.py", "hashlib.py", "jobs/json.py", "planted.pth")
    commands = [f"echo {shlex.quote(plant)} > {name}" for name in files]
    commands.append(shlex.join([str(three_nodes.nodes.python), "-I", "-c", POISON.format(plant=plant)]))

    with used.changed(" && ".join(commands), *three_nodes.nodes.names):
        done = used.work.raybundle("run", used.digest)

    assert done.returncode == 0, done.stderr
    assert len(reports(done.stdout)) == 1
    for node in three_nodes.nodes.names:
        assert shell(three_nodes, node, "ls /tmp/planted-code-ran 2>/dev/null || echo none") == "none\n"


@pytest.mark.parametrize("node", ["n0", "n1"])
def test_a_stray_sitecustomize_in_rays_directory_fails_the_job(
    three_nodes: ThreeNodes, used: Used, node: str
) -> None:
    with used.changed("echo >sitecustomize.py", node):
        document, stderr = submit_json(used.work, "run", used.digest)

    assert document["exit_code"] == 22, stderr
    assert reports(stderr) == []
    line = ONE_LINE.search(stderr)
    assert line is not None
    assert line["node"] == three_nodes.nodes.node(node).address
    assert line["file"] == "sitecustomize.py"


def test_a_distribution_of_the_node_is_importable_only_if_the_bundle_names_it(
    three_nodes: ThreeNodes, work: Workplace
) -> None:
    (work.directory / "jobs" / "job.py").write_text(
        "import ray\n"
        "def tries():\n"
        "    found = []\n"
        "    for name in ('boto3', 'pip', 'yaml'):\n"
        "        try:\n"
        "            __import__(name)  # raybundle: ignore\n"
        "            found.append(name)\n"
        "        except ModuleNotFoundError: pass\n"
        "    return found\n"
        "import json\n"
        "print('REPORT ' + json.dumps([tries(), ray.get(ray.remote(tries).remote())]))\n"
    )

    done = work.raybundle("submit", "jobs/job.py")

    assert done.returncode == 0, done.stderr
    assert (
        three_nodes.nodes.run("n0", [str(three_nodes.nodes.python), "-c", "import boto3, pip"]).stdout == ""
    )
    assert reports(done.stdout) == [[["yaml"], ["yaml"]]]


def test_a_distribution_that_the_bundle_names_is_importable_and_its_version_checked(
    three_nodes: ThreeNodes, work: Workplace
) -> None:
    (work.directory / "jobs" / "job.py").write_text("import boto3\nprint('BOTO', boto3.__version__)\n")
    version = three_nodes.nodes.run(
        "n0", [str(three_nodes.nodes.python), "-c", "import boto3; print(boto3.__version__)"]
    ).stdout.strip()

    checked = {"RAYBUNDLE_DEPENDENCIES": "cluster"}
    document, stderr = submit_json(
        replace(work, environ={**work.environ, **checked}), "submit", "jobs/job.py"
    )

    assert document["exit_code"] == 0, stderr
    assert f"BOTO {version}" in stderr


def test_two_raylets_of_one_host_share_a_session_and_an_actor_imports_on(
    three_nodes: ThreeNodes, work: Workplace
) -> None:
    (work.directory / "jobs" / "later.py").write_text("X = 5\n")
    (work.directory / "jobs" / "job.py").write_text(
        "import os, ray, time\n"
        "@ray.remote(num_cpus=0)\n"
        "class Living:\n"
        "    def start(self): return os.getpid()\n"
        "    def lazily(self):\n"
        "        import later, helper\n"
        "        return later.X, later.__file__\n"
        "@ray.remote(num_cpus=0)\n"
        "def elsewhere():\n"
        "    import later\n"
        "    return later.__file__\n"
        "living = Living.options(resources={'n2': 1}).remote()\n"
        "ray.get(living.start.remote())\n"
        "there = ray.get(elsewhere.options(resources={'twin': 1}).remote())\n"
        "value, here = ray.get(living.lazily.remote())\n"
        "print('LATER', value, here == there)\n"
    )

    with three_nodes.nodes.another_raylet("n2", {"twin": 1}):
        done = work.raybundle("submit", "jobs/job.py")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "LATER 5 True" in done.stdout


@pytest.mark.parametrize(
    "damage", ["flip", *(pytest.param(each, marks=pytest.mark.wide) for each in ("cut", "append", "delete"))]
)
def test_a_file_of_each_kind_in_the_cache_of_each_node_is_as_it_was_for_the_next_job(
    three_nodes: ThreeNodes, used: Used, damage: str
) -> None:
    python, names = str(three_nodes.nodes.python), three_nodes.nodes.names
    words = [CACHE, used.digest[7:], damage]
    before = {
        node: json.loads(three_nodes.nodes.run(node, [python, "-I", "-c", DAMAGE, *words, node]).stdout)
        for node in names
    }
    assert all(len({path.split("/")[3] for path in files}) > 1 for files in before.values()), before

    document, stderr = submit_json(used.work, "run", used.digest)

    assert document["exit_code"] == 0, (before, stderr)
    assert reports(stderr) != []
    for node, files in before.items():
        sums = [f"{digest}  {path}" for path, digest in files.items() if path.endswith(".py")]
        assert sums
        shell(three_nodes, node, f"sha256sum -c --quiet <<< {shlex.quote(chr(10).join(sums))}")


DAMAGE = """
import hashlib, json, os, random, sys
cache, digest, damage, seed = sys.argv[1:]
kinds, chosen = {}, {}
for top in ("trees", "boot", "layers", "environments", "data"):
    for folder, _, names in os.walk(f"{cache}/{top}"):
        for path in (f"{folder}/{name}" for name in names):
            lasting = top != "trees" or digest in path
            if lasting and os.path.isfile(path) and not os.path.islink(path) and os.path.getsize(path):
                if not path.endswith(".lock"):
                    kinds.setdefault((top, os.path.splitext(path)[1]), []).append(path)
for kind, paths in sorted(kinds.items()):
    path = random.Random(seed).choice(sorted(paths))
    data = open(path, "rb").read()
    chosen[path] = hashlib.sha256(data).hexdigest()
    half = len(data) // 2
    if damage == "delete":
        os.unlink(path)
        continue
    other = {"flip": data[:half] + bytes([data[half] ^ 1]) + data[half + 1:], "cut": data[:half]}
    with open(path, "r+b") as stream:
        stream.write(other.get(damage, data + b"#"))
        stream.truncate()
print(json.dumps(chosen))
"""
"""Damages a file of each kind on a node; prints the digests that they had."""
