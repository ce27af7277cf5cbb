"""What a start loads: asserted on modules, because times are noisy."""

from __future__ import annotations

import json
import pickle
import re
import sys
from argparse import ArgumentParser
from importlib.metadata import requires
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from raybundle.cli.parser import parse
from tests.support.workplace import make_workplace

HEAVY = {
    *("ray", "boto3", "botocore", "s3fs", "fsspec", "aiohttp", "requests", "rich", "asyncio"),
    *("obstore", "packaging", "websocket", "urllib3", "kingfisher_sdk"),
}
RARE = (
    *("pipeline.examining", "pipeline.past.rerunning", "submission.survey"),
    *("cluster.left.files", "cluster.left.distributions"),
)
"""Rooms that a submission needs with an option, with an address, or if the job failed."""
LOADED = "import json, sys; print(json.dumps(sorted(m.partition('.')[0] for m in sys.modules)))"


@pytest.mark.parametrize(
    "statement",
    [
        "import raybundle",
        "from raybundle.cli.parser import parse\ntry: parse(['--help'])\nexcept SystemExit: pass",
        "from raybundle.cli import main\ntry: main(['submit', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_the_start_loads_nothing_heavy(tmp_path: Path, statement: str) -> None:
    work = make_workplace(tmp_path / "work")

    done = work.command([sys.executable, "-c", f"{statement}\n{LOADED}"])

    assert done.returncode == 0, done.stderr
    assert HEAVY & set(json.loads(done.stdout.splitlines()[-1])) == set()


def test_help_loads_no_room_that_it_does_not_need(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    ask = "from raybundle.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass"
    rooms = "import sys; print(*sorted(m for m in sys.modules if m.startswith('raybundle.')))"

    done = work.command([sys.executable, "-c", f"{ask}\n{rooms}"])

    loaded = {name.split(".")[1] for name in done.stdout.splitlines()[-1].split()}
    assert loaded <= {"cli", "errors", "version"}, loaded


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="argparse checks each command when it is added")
def test_a_command_makes_the_options_of_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made, make = list[str](), ArgumentParser.__init__

    def note(self: ArgumentParser, **options: Any) -> None:
        made.append(options["prog"])
        make(self, **options)

    monkeypatch.setattr(ArgumentParser, "__init__", note)
    parse(["list", "--status", "FAILED"])

    assert made == ["raybundle", "raybundle list"]


def test_a_submission_loads_nothing_that_a_rare_one_needs(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    loaded = "import sys; print(*sys.modules)"

    done = work.command([sys.executable, "-c", f"import raybundle.cli.commands.submit\n{loaded}"])

    rare = {f"raybundle.{name}" for name in RARE} | {"concurrent.futures", "importlib.metadata", "platform"}
    assert rare & set(done.stdout.split()) == set()


def test_a_process_is_looked_up_without_a_look_at_all_others(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    ask = (
        "import os, sys\nfrom raybundle.cluster.embedded.processes import find_process\n"
        "sys.addaudithook(lambda event, words: event == 'open' and print(words[0]))\n"
        "assert find_process(os.getppid())"
    )

    done = work.command([sys.executable, "-c", ask])

    assert len([file for file in done.stdout.split() if file.endswith("/stat")]) <= 1, done.stdout


def test_a_plan_loads_nothing_that_talks_to_a_cluster(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")

    done = work.command(
        [sys.executable, "-c", f"from raybundle.cli import main; main(['plan', 'job.py'])\n{LOADED}"]
    )

    assert {"ssl", "http", "email", "socket"} & set(json.loads(done.stdout.splitlines()[-1])) == set()


def test_a_plan_without_third_party_imports_loads_no_client(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")

    done = work.command(
        [sys.executable, "-c", f"from raybundle.cli import main; main(['plan', 'job.py'])\n{LOADED}"]
    )

    assert done.returncode == 0, done.stderr
    assert HEAVY & set(json.loads(done.stdout.splitlines()[-1])) == set()


@pytest.mark.slow
def test_a_local_submission_without_ray_installed_needs_no_ray(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    hide = "import sys\nsys.modules['ray'] = None\n"

    done = work.command(
        [sys.executable, "-c", f"{hide}from raybundle.cli import main; sys.exit(main(['build', 'job.py']))"]
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sha256:")


def test_the_public_surface_is_what_the_manual_lists() -> None:
    import raybundle  # noqa: PLC0415 - the subject of the test

    manual = (Path(__file__).parents[4] / "docs" / "library.md").read_text("utf-8")
    listed = re.findall(r"^\| `raybundle\.(\w+)", manual, re.MULTILINE)

    assert sorted(raybundle.__all__) == sorted({*listed, "__version__"})


def test_a_name_of_the_library_loads_its_own_part_alone(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    ask = "from raybundle import Job, attach, submit\nimport sys; print(*sys.modules)"

    done = work.command([sys.executable, "-c", ask])

    parts = {name for name in done.stdout.split() if name.startswith("raybundle.api.")}
    words = {f"raybundle.api.{name}" for name in ("job_keywords", "keywords", "reading")}
    assert parts - words == {"raybundle.api.cluster", "raybundle.api.handle"}
    assert "raybundle.pipeline.reasoning" not in done.stdout.split()


def test_each_public_name_leads_to_one_object_that_pickles() -> None:
    import raybundle  # noqa: PLC0415 - the subject of the test

    found = {name: getattr(raybundle, name) for name in dir(raybundle)}

    modules = {name for name, each in found.items() if isinstance(each, ModuleType)}
    assert modules == {"errors", "local", "serve"}
    assert not hasattr(raybundle, "nothing")
    for name in found.keys() - modules - {"__version__"}:
        assert pickle.loads(pickle.dumps(found[name])) is getattr(raybundle, name), name  # noqa: S301


def test_raybundle_alone_brings_neither_ray_nor_airflow() -> None:
    alone, with_ray = closure("raybundle"), closure("raybundle[ray]")

    assert {"boto3", "cloudpickle", "obstore"} <= alone
    assert not [each for each in alone if each == "ray" or "airflow" in each]
    assert "ray" in with_ray


def closure(text: str) -> set[str]:
    """Returns the distributions that an installer brings for a requirement, by the metadata that is here."""
    found: set[tuple[NormalizedName, frozenset[str]]] = set()
    todo = [Requirement(text)]
    while todo:
        wanted = todo.pop()
        if (asked := (canonicalize_name(wanted.name), frozenset({*wanted.extras, ""}))) not in found:
            found.add(asked)
            name, extras = asked
            lines = [Requirement(line) for line in requires(name) or ()]
            todo += [
                each
                for each in lines
                if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
            ]
    return {name for name, _ in found}
