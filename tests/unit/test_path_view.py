"""The text of `path`: the answer first, what fails where, and paths side by side."""

from __future__ import annotations

from dataclasses import replace

from raybundle.cli.output.paths import module_lines, view_lines
from raybundle.cli.output.table import wrapped
from raybundle.pipeline.viewing.values import Entry, Found, PathView, Process, Shape
from raybundle.reporting.path_view import measured, seen_by

LIBRARY = Entry("/usr/lib/python3.11", "stdlib")
TREE = "/tmp/raybundle-0/trees/ab"
BOOT = (Entry(f"{TREE}/project/jobs", "project:jobs"), Entry("", "stdlib"), Entry("", "ray"))
HERE = (Entry("/home/me/jobs", "project:jobs"), LIBRARY)


def booted(kind: str, where: str, *more: Entry, file: str | None = "/t/helper.py") -> Process:
    path = (Entry(f"{TREE}/project/jobs", "project:jobs"), LIBRARY, Entry("/tmp/l", "ray"), *more)
    found = Found(file, file and TREE, file and "project:jobs")
    return Process(kind, where, "/usr/bin/python", path, {"helper": found}, {"six": "1.16"})


def view(*processes: Process, plain: bool = False) -> PathView:
    shape = Shape("n1", "environment of the raylet", "PYTHONPATH=/opt/x")
    files, versions = {"helper": "/home/me/jobs/helper.py"}, {"six": "1.17"}
    return PathView(plain, HERE, () if plain else BOOT, files, versions, processes, (shape,))


def test_the_answer_comes_first_and_equal_paths_share_a_column() -> None:
    same = view(booted("driver", "n0"), booted("task", "n0"), booted("task", "n1"))

    lines = list(view_lines(same, "job.py"))

    assert lines[0] == (
        "the bundle imports 1 of 1 module in every process; "
        "driver on n0; tasks on n0, n1 have the path that the boot sets"
    )
    assert lines[2:5] == [
        "A = driver on n0; tasks on n0, n1",
        "              here                 A",
        " project:jobs /home/me/jobs        /tmp/raybundle-0/trees/ab/project/jobs",
    ]
    assert "*ray          -                    /tmp/l" in lines
    assert same.ok


def test_a_path_that_the_boot_does_not_set_is_named() -> None:
    stray = Entry("/opt/stray", ".pth stray.pth")
    odd = view(booted("driver", "n0"), booted("task", "n0"), booted("task", "n1", stray))

    first, *lines = view_lines(odd, "job.py")

    assert not odd.ok
    assert first.endswith("the path is not the one that the boot sets in tasks on n1")
    assert any(line.startswith("*.pth stray.pth") and line.endswith("/opt/stray") for line in lines)


def test_what_fails_in_plain_ray_is_told_with_what_to_do() -> None:
    task = booted("task", "n0", file=None)
    failing = view(booted("driver", "n0"), task, booted("outside task", "n0", file=None), plain=True)

    lines = list(view_lines(failing, "jobs/job.py"))

    assert lines[:4] == [
        "plain Ray imports 0 of 1 module in every process; the same path",
        "  no import in tasks on n0: helper",
        "  no import in tasks of a ray.init driver on n0: helper",
        "next: `raybundle submit jobs/job.py` bundles them",
    ]
    assert "  six 1.17: 1.16 in driver on n0, task on n0, outside task on n0" in lines
    assert "  all nodes: environment of the raylet: PYTHONPATH=/opt/x" in lines


def test_without_a_target_the_answer_is_whether_processes_have_the_same_path() -> None:
    one, other = (Process("driver", "n0", path=path, modules={}) for path in (HERE, BOOT))
    different = replace(view(one, other, plain=True), files={})

    assert next(view_lines(different, "")) == "2 processes answered; 2 different paths"


def test_prose_fits_the_terminal_and_no_path_is_broken() -> None:
    assert wrapped("  six 1.17: 1.16 in driver on n0, task on n0", 30) == [
        "  six 1.17: 1.16 in driver on",
        "      n0, task on n0",
    ]
    assert wrapped("  /a/long/path/to/a/module.py hides another", 12)[0] == "  /a/long/path/to/a/module.py"
    assert wrapped("next: `raybundle submit jobs/job.py` bundles them", 20) == [
        "next: `raybundle submit jobs/job.py` bundles them"
    ]
    assert wrapped("two words", None) == ["two words"]


def test_dead_nodes_are_named_and_what_outside_drivers_lack_is_no_failure() -> None:
    dead = Process("task", "n2", fault="its raylet has ended")
    outside = view(booted("driver", "n0"), booted("outside task", "n0", file=None), plain=True)

    assert "  tasks on n2: its raylet has ended" in view_lines(view(booted("driver", "n0"), dead), "job.py")
    assert not view(booted("driver", "n0"), dead).ok
    assert outside.ok


def test_one_module_has_a_file_and_a_reason_in_each_process() -> None:
    lines = list(module_lines(view(booted("driver", "n0"), booted("task", "n1", file=None)), "helper"))

    assert lines == [
        "/home/me/jobs/helper.py\n  here",
        f"/t/helper.py\n  in driver on n0\n  because of project:jobs: {TREE}",
        "no file\n  in tasks on n1\n  because of no entry of the path has it",
    ]


def test_a_page_has_a_column_for_each_path_and_names_what_fails_where() -> None:
    stray = Entry("/opt/<stray>", ".pth stray.pth")
    silent = Process("task", "n2", fault="no answer in 15 s")
    odd = view(booted("driver", "n0"), booted("task", "n0"), booted("task", "n1", stray, file=None), silent)

    page = measured(odd).replace("<wbr>", "")

    for title in ("here", "boot", "driver, tasks on n0", "tasks on n1"):
        assert f'<th scope="col">{title}</th>' in page
    assert "<code>/opt/&lt;stray&gt;</code>" in page
    assert "<td><code>helper</code></td><td>tasks on n1</td>" in page
    assert "<td>tasks on n2</td><td>no answer in 15 s</td>" in page
    assert "<td><code>six</code></td><td><code>1.17</code></td><td><code>1.16</code></td>" in page
    assert "<code>PYTHONPATH=/opt/x</code>" in page


def test_a_page_of_a_run_says_where_it_was_and_what_came_from_elsewhere() -> None:
    node = {"node": "n1", "python": ["cpython 3.11.7"], "platform": "linux-x86_64", "libc": "glibc 2.36"}
    nodes = [{**node, "processes": {"driver": 1, "worker": 2}}]
    outside = [{"module": "helper", "file": "/data/helper.py", "process": "worker", "node": "n1"}]

    page = seen_by({"nodes": nodes, "outside": outside}).replace("<wbr>", "")

    assert "<td>cpython 3.11.7</td><td>linux-x86_64 glibc 2.36</td><td>1 driver, 2 workers</td>" in page
    assert "<td><code>/data/helper.py</code></td><td>a worker on n1</td>" in page
