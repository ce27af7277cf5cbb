"""What `doctor` makes of what nodes say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from raybundle.bundle.values import LayerEntry, Provided, PythonTag
from raybundle.cli.output.findings import finding_lines
from raybundle.model import Digest
from raybundle.pipeline.findings import Answered, Finding, Needs, judge, judge_together
from raybundle.submission.survey import NodeDescription

NODE = NodeDescription(
    "10.0.0.2", "n1", "cpython", "3.11.9", "cpython-311-x86_64-linux-gnu", "linux-x86_64", "x86_64",
    "glibc 2.36", "2.60.0", free=40 << 30,
)  # fmt: skip
CHECKS: dict[str, Any] = {
    "time": 1000.0,
    "versions": {"torch": "2.6.0"},
    "tmp_runs": True,
    "cache": {"path": "/tmp/raybundle-0", "fault": None, "trees": 1, "layers": 3},
    "spill": {"path": "/tmp/ray", "used": 10, "total": 100},
    "gpus": None,
    "variables": {},
    "pth": [],
    "site": [],
}
GPU = {"names": ["L4"], "driver": "470.57", "fault": None}
PYTHON = PythonTag("cpython", "3.11")
ARM = PythonTag("cpython", "3.11", "cpython-311-aarch64-linux-gnu", "linux-aarch64")
DIGEST = Digest("sha256:" + "0" * 64)
CUDA = Needs(PYTHON, layers=(LayerEntry("torch", "2.6.0+cu124", DIGEST),))
STORE = "s3://bundles/team"


def found(node: NodeDescription = NODE, needs: Needs | None = None, **checks: Any) -> list[Finding]:
    answered = Answered(node, {**CHECKS, **checks}, (995.0, 1002.0))
    return list(judge(answered, needs or Needs(PYTHON), STORE))


def test_a_healthy_node_has_nothing_to_do() -> None:
    needs = Needs(PYTHON, (Provided("torch", "2.6.0"),), bytes=1 << 30)

    assert {each.check: each.state for each in found(needs=needs)} == dict.fromkeys(
        ["python", "store", "disk", "cache", "clock", "spilling", "provided", "path"], "ok"
    )


def lacking(version: str) -> Needs:
    return Needs(PYTHON, (Provided("torch", version),))


FULL = {"path": "/tmp/ray", "used": 96, "total": 100}
FOREIGN = {**CHECKS["cache"], "fault": "it belongs to user 7"}
SILENT = {"names": [], "driver": "", "fault": "does not answer"}
LARGE = Needs(PYTHON, bytes=3 << 30)
WRONG: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    "another Python": (
        {"needs": Needs(PythonTag("cpython", "3.12"))},
        *("python", "failed", "the bundle is for cpython 3.12", "`--python 3.11` builds"),
    ),
    "an older libc": (
        {"needs": Needs(PythonTag("cpython", "3.11", NODE.abi, NODE.platform, "glibc 2.38"))},
        *(
            "python",
            "failed",
            "linux-x86_64, glibc 2.38 or newer)",
            "`--platform x86_64-manylinux_2_36` builds",
        ),
    ),
    "another machine": (
        {"needs": Needs(ARM)},
        *("python", "failed", "linux-aarch64)", "`--platform x86_64-manylinux_2_36` builds"),
    ),
    "another Python on another machine": (
        {"needs": Needs(replace(ARM, minor="3.12", abi="cpython-312-aarch64-linux-gnu"))},
        *("python", "failed", "linux-aarch64)", "`--python 3.11 --platform x86_64-manylinux_2_36` builds"),
    ),
    "no credentials": (
        {"node": replace(NODE, store="no credentials")},
        *("store", "warning", "no credentials; bundles are relayed", "boto3"),
    ),
    "a clock that the store refuses": (
        {"node": replace(NODE, store="An error occurred (RequestTimeTooSkewed)")},
        *("store", "warning", "TimeTooSkewed", "synchronise its clock"),
    ),
    "no credentials for what is large": (
        {"node": replace(NODE, store="x"), "needs": LARGE},
        *("store", "failed", "too large to be relayed", "boto3"),
    ),
    "a full disk": (
        {"node": replace(NODE, free=10 << 20)},
        *("disk", "failed", "10.0 MiB free in /tmp, 1.0 GiB wanted", "free 1014.0 MiB there"),
    ),
    "a disk that is full for this bundle": (
        {"node": replace(NODE, free=2 << 30), "needs": LARGE},
        *("disk", "failed", "6.0 GiB wanted", "free 4.0 GiB"),
    ),
    "noexec": (
        {"tmp_runs": False},
        *("disk", "failed", "runs no programs (noexec)", "mount /tmp without noexec"),
    ),
    "a cache of another": (
        {"cache": FOREIGN},
        *("cache", "failed", "it belongs to user 7", "remove /tmp/raybundle-0"),
    ),
    "a clock that is late": ({"time": 1120.0}, "clock", "warning", "1 min 58 s off", "synchronise"),
    "a clock that is wrong": ({"time": 40.0}, "clock", "failed", "15 min 55 s off", "synchronise"),
    "no room to spill": ({"spill": FULL}, "spilling", "failed", "is 96% full", "free space there"),
    "another version": (
        {"needs": lacking("2.7.0")},
        *("provided", "failed", "torch 2.7.0: 2.6.0", "`pip install torch==2.7.0`"),
    ),
    "a distribution that is absent": (
        {"needs": Needs(PYTHON, (Provided("jax"),))},
        *("provided", "failed", "jax (any): not installed", "`pip install jax`"),
    ),
    "an old driver": (
        {"needs": CUDA, "gpus": GPU},
        *("gpu", "failed", "driver 470.57; CUDA 12 needs 525 or later", "install driver 525"),
    ),
    "GPUs that do not answer": ({"gpus": SILENT}, "gpu", "warning", "does not answer", "nvidia-smi"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_node_is_named_with_what_to_do(case: str) -> None:
    facts, check, state, says, remedy = WRONG[case]
    [finding] = [each for each in found(**facts) if each.check == check]

    assert finding.state == state
    assert says in finding.found
    assert finding.remedy is not None
    assert remedy in finding.remedy


def test_a_driver_that_is_new_enough_is_fine() -> None:
    [finding] = [each for each in found(needs=CUDA, gpus={**GPU, "driver": "550.1"}) if each.check == "gpu"]

    assert (finding.state, finding.found) == ("ok", "1 GPU (L4), driver 550.1")


def test_what_shapes_imports_is_listed() -> None:
    [finding] = [
        each
        for each in found(variables={"PYTHONPATH": "/opt/lib", "PYTHONHASHSEED": "0"}, pth=["/x/a.pth"])
        if each.check == "path"
    ]

    assert finding.found == "the boot sets aside PYTHONPATH=/opt/lib, /x/a.pth"


def test_only_some_of_what_shapes_imports_is_listed() -> None:
    [finding] = [each for each in found(pth=[f"/x/{name}.pth" for name in "abcde"]) if each.check == "path"]

    assert finding.found == (
        "the boot sets aside /x/a.pth, /x/b.pth, /x/c.pth and 2 more; `raybundle path` lists them"
    )


LONG = Finding(
    "disk", "n1 (10.0.0.2)", "failed", "10.0 MiB free in /tmp, 1.0 GiB wanted", "free 1014 MiB there"
)


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (None, ["failed   disk  n1 (10.0.0.2)  10.0 MiB free in /tmp, 1.0 GiB wanted"]),
        (80, ["failed   disk  n1 (10.0.0.2)  10.0 MiB free in /tmp, 1.0 GiB wanted"]),
        (
            62,
            [
                "failed   disk  n1 (10.0.0.2)  10.0 MiB free in /tmp, 1.0 GiB",
                "                              wanted",
            ],
        ),
        (40, ["failed   disk  n1 (10.0.0.2)", "         10.0 MiB free in /tmp, 1.0 GiB", "         wanted"]),
    ],
)
def test_a_finding_fits_the_terminal_and_its_remedy_is_never_broken(
    columns: int | None, lines: list[str]
) -> None:
    shown = list(finding_lines([LONG], columns))

    assert shown == [*lines, "               next: free 1014 MiB there", "1 check failed"]


def test_a_path_that_does_not_fit_beside_its_node_is_below_it_in_one_piece() -> None:
    path = f"/tmp/ray/{'session' * 5} is 14% full"

    assert list(finding_lines([Finding("spilling", "n1 (10.0.0.2)", "ok", path)], 66))[:2] == [
        "ok       spilling  n1 (10.0.0.2)",
        f"         {path}",
    ]


def test_nodes_that_differ_from_each_other_are_named() -> None:
    other = replace(NODE, host="n2", address="10.0.0.3", ray="2.49.2", version="3.12.1")

    ray, python = judge_together([NODE, other])

    assert ray.found == "they differ: n1 (10.0.0.2) has 2.60.0; n2 (10.0.0.3) has 2.49.2"
    assert python.found == "they differ: n1 (10.0.0.2) has 3.11; n2 (10.0.0.3) has 3.12"
    assert list(judge_together([NODE, NODE])) == []
