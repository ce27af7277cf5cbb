"""`doctor` and `path` name node and cause of what is wrong there, and are content once it is mended."""

from __future__ import annotations

import json
import os
import shlex
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
from tests.support.wheels import make_wheel

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
    "mkdir /tmp/gpus && mount --bind /tmp/gpus /usr/local/sbin"
    " && printf '%s\\n' '#!/bin/sh' {lines} >{smi} && chmod 755 {smi}"
)
NO_GPUS = "umount /usr/local/sbin && rm -r /tmp/gpus"
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running."
)
"""What it says where it cannot reach a driver; it exits with 9."""
LATE_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *found) {
    static int (*right)(clockid_t, struct timespec *);
    if (!right) right = dlsym(RTLD_NEXT, "clock_gettime");
    int code = right(clock, found);
    if (!code && clock == CLOCK_REALTIME && getenv("RAY_JOB_ID")) found->tv_sec -= 1200;
    return code;
}

int gettimeofday(struct timeval *found, void *zone) {
    struct timespec now;
    int code = clock_gettime(CLOCK_REALTIME, &now);
    found->tv_sec = now.tv_sec;
    found->tv_usec = now.tv_nsec / 1000;
    return code;
}
"""
"""Preloaded by a raylet, it sets back the clock of its workers by 20 minutes: of all that asks the C library.

The raylet itself would wait for moments that are over, and spin.
"""
STRAY = f"{OVER} echo /tmp/stray >stray.pth; mkdir -p /tmp/stray\n"
STRAY += """\
mv jmespath-*.dist-info jmespath-0.0.1.dist-info
sed -i 's/^Version: .*/Version: 0.0.1/' jmespath-0.0.1.dist-info/METADATA
sed -i '/bin/d; s/^jmespath-.*dist-info/jmespath-0.0.1.dist-info/' jmespath-0.0.1.dist-info/RECORD
"""
SPOILT = {
    "no boto3": ("n0", f"{OVER} rm -r boto3 boto3-*", BACK),
    "no credentials": ("n1", f"mv {CREDENTIALS} {CREDENTIALS}.away", f"mv {CREDENTIALS}.away {CREDENTIALS}"),
    "a stray .pth, another version": ("n1", STRAY, BACK),
    "noexec": ("n1", "mount -o remount,noexec /tmp", "mount -o remount,exec /tmp"),
    "an old driver": (
        "n0",
        GPUS.format(lines=shlex.join(["echo NVIDIA L4, 470.57.02"]), smi=SMI),
        f"sed -i s/470.57.02/525.60.13/ {SMI}",
    ),
    "a broken driver": (
        "n2",
        GPUS.format(lines=shlex.join(["cat <<'END'", NO_DRIVER, "", "END", "exit 9"]), smi=SMI),
        NO_GPUS,
    ),
    "a cache for all": ("n2", f"mkdir -p {CACHE} && chmod 755 {CACHE}", f"rm -r {CACHE}"),
    "a sitecustomize": ("n2", f"{OVER} echo pass >sitecustomize.py", BACK),
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
    ("disk", "n2", "failed"),
    ("spilling", "n2", "failed"),
}


Checks = dict[tuple[str, str, str], tuple[str, str]]


def examined(work: Workplace, *words: str) -> tuple[int, Checks, Checks]:
    """Returns the exit code, and what was found, with what to do, of each check, host and state.

    What is not ok comes first, then what is.
    """
    done = work.raybundle("--json", "doctor", *words)
    assert done.stdout, done.stderr
    found: tuple[Checks, Checks] = ({}, {})
    for one in json.loads(done.stdout)["checks"]:
        key = (one["check"], one["where"].partition(" ")[0], one["state"])
        found[one["state"] == "ok"][key] = (one["found"], one["remedy"] or "")
    assert all(remedy for _, remedy in found[0].values())
    return done.returncode, *found


def seen(work: Workplace) -> tuple[dict[str, str | None], dict[str, set[str]]]:
    """Returns why each node does not answer `path`, and what shapes imports on one node alone."""
    done = work.raybundle("--json", "path")
    assert done.stdout, done.stderr
    document = json.loads(done.stdout)
    assert document["fault"] is None, document["fault"]
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


def late_clock(nodes: Nodes, node: str, directory: Path) -> dict[str, str]:
    """Returns the variables with which a raylet on the node, and what it starts, has a clock that is late."""
    source, library = directory / "late.c", directory / "late.so"
    source.write_text(LATE_CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    with library.open("rb") as stream:
        nodes.run(node, ["sh", "-c", "cat >/tmp/late.so"], stdin=stream)
    return {"LD_PRELOAD": "/tmp/late.so"}


def test_each_node_that_differs_is_named_until_it_is_mended(three_nodes: ThreeNodes, tmp_path: Path) -> None:
    work, nodes = workplace(three_nodes, tmp_path / "work"), three_nodes.nodes

    with spoilt(three_nodes, *SPOILT):
        code, bad, well = examined(work, "job.py")
        refused = submitted(work)
        faults, alone = seen(work)
    end_raylet(nodes, "n2")
    dead = (examined(work)[1], seen(work)[0])
    nodes.start_again("n2", {"n2": 100}, {"PYTHONPATH": "/tmp/shadow", **late_clock(nodes, "n2", tmp_path)})
    _, with_variable = seen(work)
    late = examined(work)[1]
    end_raylet(nodes, "n2")
    nodes.start_again("n2", {"n2": 100})
    mended = submitted(work)
    nodes.run("n0", ["sh", "-c", NO_GPUS])

    assert (code, set(bad)) == (1, FOUND), bad
    found = {key: text for key, (text, _) in bad.items()}
    assert "0.0.1" in found["provided", "n1", "failed"]
    assert "noexec" in found["disk", "n1", "failed"]
    assert "smart_open[s3]" in found["store", "n0", "warning"]
    assert "no credentials" in found["store", "n1", "warning"]
    assert found["gpu", "n0", "failed"] == "1 GPU (NVIDIA L4), driver 470.57.02; CUDA 12 needs 525 or later"
    assert well["gpu", "n1", "ok"][0] == "none: CUDA 12 of the bundle has nothing to run on"
    assert found["gpu", "n2", "warning"] == NO_DRIVER
    assert refused.returncode == 3
    assert "checks of the cluster failed: the job was not submitted" in refused.stderr
    assert "RAN" not in refused.stdout
    assert (faults, alone) == (
        dict.fromkeys(("n0", "n1", "n2")),
        {"n0": set(), "n1": {"stray.pth"}, "n2": {"sitecustomize.py"}},
    )
    address = nodes.node("n2").address
    assert dead[0]["nodes", address, "warning"][0] == dead[1]["n2"] == "its raylet has ended"
    assert with_variable == {"n0": set(), "n1": set(), "n2": {"shadow"}}
    assert late["clock", "n2", "failed"][0].startswith("is 19 min "), late
    assert "RequestTimeTooSkewed" in late["store", "n2", "warning"][0]
    assert late["store", "n2", "warning"][1].startswith("synchronise its clock")
    assert (mended.returncode, "RAN" in mended.stdout) == (0, True), mended.stderr
    assert "found nothing that keeps the bundle from running" in mended.stderr


def test_the_command_that_installs_another_version_on_a_node_is_run_there(
    three_nodes: ThreeNodes, tmp_path: Path
) -> None:
    work, nodes = workplace(three_nodes, tmp_path / "work"), three_nodes.nodes
    wheel = make_wheel(
        tmp_path, f"jmespath-{metadata.version('jmespath')}", files={"jmespath/__init__.py": b"HERE = 1\n"}
    )

    with spoilt(three_nodes, "a stray .pth, another version"):
        _, text = examined(work, "job.py")[1]["provided", "n1", "failed"]
        with wheel.open("rb") as stream:
            nodes.run("n1", ["sh", "-c", f"mkdir /tmp/w && cat >/tmp/w/{wheel.name}"], stdin=stream)
        command = text.split("`")[1]
        # The script `pip` is of the environment's other place, which this node cannot write.
        nodes.run(
            "n1", ["sh", "-c", f"python -m {command}"], env={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/tmp/w"}
        )
        mended = submitted(work)

    assert command == f"pip install jmespath=={metadata.version('jmespath')}"
    assert (mended.returncode, "RAN" in mended.stdout) == (0, True), mended.stderr
