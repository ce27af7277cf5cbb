"""What the boot has written on the nodes: read strictly, because any process of the job could write there."""

from __future__ import annotations

import json

from raybundle.publish.layout import LARGEST_RECORD
from raybundle.submission.recording.observed import LONGEST, MOST, PROVIDED, describe_outside, gather

NODE = "node\tgpu-1\tlinux-x86_64\tglibc 2.36\tnumpy-2.0\tray-2.60.0\n"
DRIVER = "process\tdriver\t10\tcpython 3.11.7\n"
WORKER = "process\tworker\t11\tcpython 3.11.7\n"


def test_nodes_are_described_and_their_processes_counted() -> None:
    lines = f"{NODE}{DRIVER}{WORKER}{WORKER}"
    found = gather({"a1": lines.encode(), "b2": b""})

    assert found["outside"] == []
    assert found["nodes"] == [
        {
            "node": "gpu-1",
            "node_id": "a1",
            "platform": "linux-x86_64",
            "libc": "glibc 2.36",
            "python": ["cpython 3.11.7"],
            "processes": {"driver": 1, "worker": 2},
            "provided": ["numpy-2.0", "ray-2.60.0"],
        }
    ]


def test_a_node_says_when_its_first_process_had_booted_and_its_first_task_began() -> None:
    lines = f"{NODE}process\tworker\t12\tcpython 3.11.7\t1800000002.500\t0.75\nready\t12\t1800000004.000\n"
    lines += "process\tdriver\t10\tcpython 3.11.7\t1800000001.250\t1.50\nready\t13\t1800000003.125\n"
    lines += "process\tchild\t14\tcpython 3.11.7\t1.000\t0.10\nready\t9\tsoon\nready\n"
    [node] = gather({"a1": lines.encode()})["nodes"]

    assert node["booted"] == "2027-01-15T08:00:01.250+00:00"
    assert node["boot_seconds"] == 1.5
    assert node["first_task"] == "2027-01-15T08:00:03.125+00:00"
    assert node["processes"] == {"child": 1, "driver": 1, "worker": 1}


def test_times_that_are_none_are_passed_over() -> None:
    for times in ("nan\t1", "1e300\t1", "-1\t1", "1\tx", "1"):
        lines = f"{NODE}{WORKER.rstrip()}\t{times}\n"
        [node] = gather({"a1": lines.encode()})["nodes"]

        assert "booted" not in node


def test_a_module_is_listed_once_for_each_kind_of_process_and_node() -> None:
    stray = "outside\tworker\t11\tstray\t/data/stray.py\n"
    lines = f"{NODE}{WORKER}{stray}{stray.replace('11', '12')}{stray.replace('worker', 'driver')}"
    found = gather({"a1": lines.encode()})["outside"]

    assert [(each["module"], each["process"]) for each in found] == [("stray", "worker"), ("stray", "driver")]
    assert describe_outside(found) == "imported from outside the bundle: stray (/data/stray.py, in a driver)"


def test_lines_that_the_boot_does_not_write_are_passed_over() -> None:
    wrong = "outside\troot\t1\tm\t/m.py\nprocess\tworker\nprocess\tboss\t1\tcpython 9\nnode\nnonsense\n\n"
    found = gather({"a1": f"{wrong}{NODE}{WORKER}".encode() + b"\xff\tworker\n"})

    assert ([node["processes"] for node in found["nodes"]], found["outside"]) == ([{"worker": 1}], [])


def test_a_job_cannot_fill_the_record() -> None:
    many = "".join(f"outside\tworker\t1\tm{number}\t/m.py\n" for number in range(2 * MOST))
    found = gather({"a1": f"{NODE}{WORKER}{many}".encode()})

    assert len(found["outside"]) == MOST
    assert str(describe_outside(found["outside"])).endswith(f", and {MOST - 3} more")


def test_neither_many_words_nor_a_long_one_get_into_the_record() -> None:
    provided = "\t".join(f"p{number}-{'1' * LONGEST}" for number in range(2 * PROVIDED))
    stray = f"outside\tworker\t1\tm\t/{'x' * 60_000}.py\n"
    found = gather({"a1": f"{NODE.rstrip()}\t{provided}\n{WORKER}{stray}".encode()})

    assert len(found["nodes"][0]["provided"]) == PROVIDED
    assert max(map(len, found["nodes"][0]["provided"])) == LONGEST
    assert len(str(describe_outside(found["outside"]))) < 2 * LONGEST


def test_the_record_of_a_large_cluster_can_be_read() -> None:
    """A record of more than `LARGEST_RECORD` bytes is refused. Each character may be written as six."""
    word = "é" * LONGEST
    provided = "\t".join(f"p{number}-{word}" for number in range(PROVIDED))
    outside = "".join(f"outside\tworker\t1\tm{number}{word}\t/{word}\n" for number in range(2 * MOST))
    lines = f"{NODE.rstrip()}\t{provided}\n{WORKER}{outside}"
    found = gather(
        {"a1": f"{NODE}{DRIVER}".encode(), **{f"b{number}": lines.encode() for number in range(5)}}
    )

    assert len(json.dumps(found)) < LARGEST_RECORD // 2
    assert found["nodes"][0]["node_id"] == "a1"
    assert len(found["nodes"]) + found["omitted"] == 6
