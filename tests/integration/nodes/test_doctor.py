"""`doctor` and `path` name node and cause of what is wrong there, and are content once it is mended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import PROBE, JobsClient
from tests.integration.nodes.conftest import CREDENTIALS
from tests.support.bed import processes_in
from tests.support.installed import install
from tests.support.nodes import NODE_ENV
from tests.support.small_project import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.nodes.conftest import ThreeNodes
    from tests.support.nodes import Nodes
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.nodes
CACHE = "/tmp/raybundle-0"
SITE = f"$(echo {NODE_ENV}/lib/python3*/site-packages)"
OVER = f"""\
set -e
mkdir -p /tmp/over/up /tmp/over/work
mount -t overlay overlay -o lowerdir={SITE},upperdir=/tmp/over/up,workdir=/tmp/over/work {SITE}
cd {SITE}
"""
"""Begins a change of a node's installation, which all nodes share: only this node sees it."""
BACK = f"umount {SITE} && rm -r /tmp/over"
SMI = "/usr/local/sbin/nvidia-smi"
GPUS = (
    "mkdir /tmp/gpus && mount --bind /tmp/gpus /usr/local/sbin && printf '#!/bin/sh\\n%s\\n' '{says}' >{smi}"
)
GPUS += " && chmod 755 {smi}"
NO_GPUS = "umount /usr/local/sbin && rm -r /tmp/gpus"
LATE = "import time\\nright = time.time\\ntime.time = lambda: right() - 1200\\n"
STRAY = f"{OVER} echo /tmp/stray >stray.pth; mkdir -p /tmp/stray\n"
STRAY += "sed -i 's/^Version: .*/Version: 0.0.1/' jmespath-*.dist-info/METADATA"
SPOILT = {
    "no boto3": ("n0", f"{OVER} rm -r boto3 boto3-*", BACK),
    "no credentials": ("n1", f"mv {CREDENTIALS} {CREDENTIALS}.away", f"mv {CREDENTIALS}.away {CREDENTIALS}"),
    "a stray .pth, another version": ("n1", STRAY, BACK),
    "noexec": ("n1", "mount -o remount,noexec /tmp", "mount -o remount,exec /tmp"),
    "an old driver": (
        "n0",
        GPUS.format(says="echo NVIDIA L4, 470.57.02", smi=SMI),
        f"sed -i s/470.57.02/525.60.13/ {SMI}",
    ),
    "a broken driver": ("n2", GPUS.format(says="echo no driver >&2; exit 9", smi=SMI), NO_GPUS),
    "a cache for all": ("n2", f"mkdir -p {CACHE} && chmod 755 {CACHE}", f"rm -r {CACHE}"),
    "a clock that is late": ("n2", f"{OVER} printf '{LATE}' >sitecustomize.py", BACK),
    "a full disk": (
        "n2",
        "fallocate -l 300M /tmp/filler && used=$(df -k --output=used /tmp | tail -1)"  # noqa: ISC004 - one line
        " && mount -o remount,size=$((used + 12000))k /tmp",
        "rm /tmp/filler && mount -o remount,size=50% /tmp",
    ),
}
"""Node, what is done to it, and what mends that, as the remedy says."""
FOUND = {
    ("store", "n0", "warning"),
    ("store", "n1", "warning"),
    ("provided", "n1", "failed"),
    ("disk", "n1", "failed"),
    ("gpu", "n0", "failed"),
    ("gpu", "n2", "warning"),
    ("cache", "n2", "failed"),
    ("clock", "n2", "failed"),
    ("disk", "n2", "failed"),
    ("spilling", "n2", "failed"),
}


def examined(work: Workplace, *words: str) -> tuple[int, dict[tuple[str, str, str], str]]:
    """Returns the exit code, and what was found of each check, host and state that is not ok."""
    done = work.raybundle("--json", "doctor", *words)
    assert done.stdout, done.stderr
    bad = [one for one in json.loads(done.stdout)["checks"] if one["state"] != "ok"]
    assert all(one["remedy"] for one in bad)
    hosts = {(one["check"], one["where"].partition(" ")[0], one["state"]): one["found"] for one in bad}
    return done.returncode, hosts


def seen(work: Workplace) -> tuple[dict[str, str | None], dict[str, set[str]]]:
    """Returns why each node does not answer `path`, and what shapes imports on one node alone."""
    done = work.raybundle("--json", "path")
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    faults = {one["node"].partition(" ")[0]: one["fault"] for one in document["processes"]}
    nodes: dict[str, set[str]] = {}
    for one in document["shaping"]:
        if one["source"] != "mount":
            nodes.setdefault(one["what"], set()).add(one["node"].partition(" ")[0])
    alone = {host: set[str]() for host in faults}
    for what, hosts in nodes.items():
        if len(hosts) == 1:
            alone[next(iter(hosts))].add(what.rpartition("/")[2])
    assert done.returncode == (1 if any(faults.values()) else 0)
    return faults, alone


def submitted(work: Workplace) -> subprocess.CompletedProcess[str]:
    """Submits after the checks; once more if a node did not answer in time, as on a busy machine."""
    done = work.raybundle("submit", "--check", "job.py")
    return work.raybundle("submit", "--check", "job.py") if "no answer in " in done.stderr else done


@contextmanager
def spoilt(three_nodes: ThreeNodes, *names: str) -> Iterator[None]:
    with ExitStack() as mending:
        for name in names:
            node, spoil, mend = SPOILT[name]
            three_nodes.nodes.run(node, ["sh", "-c", spoil])
            mending.callback(three_nodes.nodes.run, node, ["sh", "-c", mend])
        mending.callback(wait_for_removal, three_nodes)
        yield


def wait_for_removal(three_nodes: ThreeNodes) -> None:
    """Waits until the job that asked the nodes is removed: its processes hold what is mounted."""
    with closing(JobsClient(make_access(three_nodes.nodes.address, {}))) as client:
        while any(str(each["submission_id"]).startswith(PROBE) for each in client.get("/api/jobs/")):
            time.sleep(0.2)


def end_raylet(nodes: Nodes, node: str) -> None:
    """Kills the raylet of a node, and waits until the cluster has noticed."""
    before = nodes.alive
    for process in processes_in(nodes.node(node).namespace):
        with suppress(OSError):
            if Path(f"/proc/{process}/comm").read_text("utf-8").strip() == "raylet":
                os.kill(process, signal.SIGKILL)
    while nodes.alive == before:
        time.sleep(0.2)


def workplace(three_nodes: ThreeNodes, directory: Path) -> Workplace:
    """A user whose job imports a distribution of the cluster, and one that brings CUDA."""
    work = three_nodes.workplace(directory, "plain")
    imports = "import jmespath\nimport ray\nimport rb_nothing_of_cuda\n"
    tree(work.directory, {"job.py": f"{imports}\nprint('RAN', ray.is_initialized())\n"})
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory / "env"], check=True)
    [site] = (directory / "env").glob("lib/python*/site-packages")
    install(site, "jmespath", {"jmespath.py": b""}, version=metadata.version("jmespath"))
    install(site, "nvidia-nothing-cu12", {"rb_nothing_of_cuda.py": b""})
    with (work.directory / "pyproject.toml").open("a") as stream:
        stream.write(f"\n[tool.raybundle]\npython = '{directory}/env/bin/python'\n")
        stream.write("cluster-provides = ['jmespath']\n")
    return work


def test_each_node_that_differs_is_named_until_it_is_mended(three_nodes: ThreeNodes, tmp_path: Path) -> None:
    work = workplace(three_nodes, tmp_path / "work")

    with spoilt(three_nodes, *SPOILT):
        code, bad = examined(work, "job.py")
        refused = submitted(work)
        faults, alone = seen(work)
    end_raylet(three_nodes.nodes, "n2")
    dead = (examined(work)[1], seen(work)[0])
    three_nodes.nodes.start_again("n2", {"n2": 100}, {"PYTHONPATH": "/tmp/shadow"})
    _, with_variable = seen(work)
    end_raylet(three_nodes.nodes, "n2")
    three_nodes.nodes.start_again("n2", {"n2": 100})
    mended = submitted(work)
    three_nodes.nodes.run("n0", ["sh", "-c", NO_GPUS])

    assert (code, set(bad)) == (1, FOUND), bad
    assert "0.0.1" in bad["provided", "n1", "failed"]
    assert "noexec" in bad["disk", "n1", "failed"]
    assert "smart_open[s3]" in bad["store", "n0", "warning"]
    assert "no credentials" in bad["store", "n1", "warning"]
    assert bad["clock", "n2", "failed"].startswith("is 19 min "), bad
    assert bad["gpu", "n0", "failed"] == ("1 GPU (NVIDIA L4), driver 470.57.02; CUDA 12 needs 525 or later")
    assert bad["gpu", "n2", "warning"] == "no driver"
    assert refused.returncode == 3
    assert "checks of the cluster failed: the job was not submitted" in refused.stderr
    assert "RAN" not in refused.stdout
    assert (faults, alone) == (
        dict.fromkeys(("n0", "n1", "n2")),
        {"n0": set(), "n1": {"stray.pth"}, "n2": {"sitecustomize.py"}},
    )
    address = three_nodes.nodes.node("n2").address
    assert dead[0]["nodes", address, "warning"] == dead[1]["n2"] == "its raylet has ended"
    assert with_variable == {"n0": set(), "n1": set(), "n2": {"shadow"}}
    assert (mended.returncode, "RAN" in mended.stdout) == (0, True), mended.stderr
    assert "found nothing that keeps the bundle from running" in mended.stderr
