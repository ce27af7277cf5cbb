"""What a real run of a target shows: imported, opened, recorded, and checked against the tree of later."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache
from raybundle.config import Settings
from raybundle.errors import UsageError
from raybundle.model import ModuleName, ModuleTarget, ScriptTarget
from raybundle.planning import resolve_target
from raybundle.request import Request, Tracing, prepare
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.resolve import ResolveSettings, resolve
from raybundle.resolve.trace.run import Run, observe
from raybundle.resolve.traced import LOCK, Traced, TracedModule
from tests.integration.disk.resolve.test_resolve import found_by, names
from tests.support.booting import find_base
from tests.support.known import knowing
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from raybundle.model import Resolution, Target
    from tests.support.workplace import Workplace

LOADER = """\
import importlib

NAMES = {}


def load(kind):
    name = NAMES.get(kind, kind[::-1])
    return importlib.import_module(name)
"""
"""Imports by a name that nothing but the running program knows: its argument, backwards."""
JOB = "import sys\nimport loader\nfor word in sys.argv[1:]:\n    loader.load(word)\n"


def run(
    directory: Path, target: Target, *arguments: str, python: Path | None = None, as_main: bool = True
) -> tuple[Traced, int, Resolution]:
    """Runs a target, and resolves it with what the run has shown."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    cache = directory.parent / "cache"
    found = describe(python or Path(sys.executable), environ, directory, knowing(cache))
    order = Run(target, directory, (), directory, environ, arguments, as_main)
    traced, code = observe(order, found)
    settings = ResolveSettings(project=directory, traced=traced)
    return traced, code, resolve(target, settings, found, directory, knowing(cache))


def job(directory: Path, *arguments: str, as_main: bool = True) -> Resolution:
    return run(directory, ScriptTarget(directory / "job.py"), *arguments, as_main=as_main)[2]


def place(directory: Path, **files: str) -> Workplace:
    work = make_workplace(directory / "work")
    tree(work.directory, {"job.py": JOB, "loader.py": LOADER, "one.py": "", "two.py": "", **files})
    return work


def resolved(work: Workplace, tracing: Tracing | None = None) -> Resolution:
    """Returns what `plan`, `build` and `submit` would take, without a process of its own."""
    directory = work.directory.resolve()
    target = ScriptTarget(directory / "job.py")
    request = Request(target, Settings({}), directory, directory, work.environ, tracing)
    return resolve_target(prepare(request))


def said(work: Workplace) -> list[str]:
    return [warning.text for warning in resolved(work).warnings]


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13"])
def test_a_module_loaded_by_a_computed_name_travels_with_its_own_imports(
    tmp_path: Path, version: str
) -> None:
    python = find_base(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    work = tree(
        tmp_path.resolve() / "work",
        {
            "job.py": JOB,
            "loader.py": LOADER,
            "parts/deep/one.py": "import below\n",
            "below.py": "",
            "unused.py": "",
        },
    )

    traced, code, resolution = run(work, ScriptTarget(work / "job.py"), "eno.peed.strap", python=Path(python))

    assert (code, traced.warnings) == (0, ())
    assert found_by(resolution) == {
        "__main__": "static",
        "loader": "static",
        "parts": "traced",
        "parts.deep": "traced",
        "parts.deep.one": "traced",
        "below": "static",
    }
    [edge] = [each for each in resolution.edges if each.imported == "parts.deep.one"]
    assert (edge.importer, edge.file, edge.line) == ("loader", work / "loader.py", 8)


def test_an_import_that_a_library_makes_is_attributed_to_the_code_that_called_it(tmp_path: Path) -> None:
    work = tree(
        tmp_path.resolve() / "work",
        {
            "job.py": "import pydoc\n\n\npydoc.locate('trap.artxe'[::-1])\n",
            "extra/__init__.py": "",
            "extra/part.py": "",
        },
    )

    resolution = job(work)

    assert [(each.imported, each.line) for each in resolution.edges if each.rule == "trace"] == [
        ("extra", 4),
        ("extra.part", 4),
    ]


def test_the_body_of_a_module_alone_does_not_enter_its_main_block(tmp_path: Path) -> None:
    text = "import sys\n{}    __import__('one' if sys else '')\n"
    directory = tmp_path.resolve()
    body = tree(directory / "body", {"job.py": text.format("if __name__ == '__main__':\n"), "one.py": ""})
    guarded = run(body, ScriptTarget(body / "job.py"), as_main=False)[0]
    whole = run(body, ScriptTarget(body / "job.py"))[0]

    assert ([each.name for each in guarded.modules], [each.name for each in whole.modules]) == ([], ["one"])


def test_a_run_is_as_python_runs_a_script_and_a_module(tmp_path: Path) -> None:
    text = (
        "import json, os, sys\n"
        "me = sys.modules['__main__']\n"
        "shown = [__name__, __file__, __package__, str(type(__loader__)), __spec__ and __spec__.name,\n"
        "         sys.argv, sys.path, sys.orig_argv[1:], vars(me) is globals(), sorted(vars(me)),\n"
        "         __builtins__ is sys.modules['builtins']]\n"
        "print(json.dumps(shown), file=open(os.environ['SHOWN'], 'w'))\n"
    )
    directory = tree(tmp_path.resolve() / "work", {"jobs/job.py": text, "pkg/__main__.py": text})
    shown = directory.parent / "shown"
    environ = {**os.environ, "SHOWN": str(shown)}
    found = describe(Path(sys.executable), environ, directory, knowing(directory.parent / "cache"))
    cases: list[tuple[list[str], Target]] = [
        (["jobs/job.py"], ScriptTarget(directory / "jobs/job.py")),
        (["-m", "pkg"], ModuleTarget(ModuleName("pkg"))),
    ]

    for words, target in cases:
        subprocess.run([sys.executable, *words, "a", "b c"], cwd=directory, env=environ, check=True)
        expected = json.loads(shown.read_text())
        observe(Run(target, directory, (), directory, environ, ("a", "b c")), found)
        traced = json.loads(shown.read_text())
        path, expected_path = traced.pop(6), expected.pop(6)

        assert traced == expected
        assert path == list(dict.fromkeys([*expected_path, str(directory)]))  # as in the job: the root last


def test_data_that_a_run_reads_travels_and_what_it_wrote_does_not(tmp_path: Path) -> None:
    text = (
        "import os\n"
        "open('data/rows.csv').close()\n"
        "os.close(os.open('data/raw.bin', os.O_RDONLY))\n"
        "open('made.txt', 'w').close()\n"
        "open('made.txt').close()\n"
        "open('/etc/hostname').close() if os.path.exists('/etc/hostname') else None\n"
        "os.chdir('data')\n"
        "open('late.csv').close()\n"
    )
    files = {"job.py": text, "data/rows.csv": "", "data/raw.bin": "", "data/late.csv": "", "data/no.csv": ""}

    resolution = job(tree(tmp_path.resolve() / "work", files))

    assert [(each.path, each.reason) for each in resolution.data] == [
        ("project/data/late.csv", "opened by __main__:8 while traced"),
        ("project/data/raw.bin", "opened by __main__:3 while traced"),
        ("project/data/rows.csv", "opened by __main__:2 while traced"),
    ]


def test_source_that_is_run_by_the_name_of_its_file_travels(tmp_path: Path) -> None:
    text = (
        "from importlib.util import module_from_spec, spec_from_file_location\n"
        "spec = spec_from_file_location('any-name', 'yp.ni/gulp'[::-1])\n"
        "spec.loader.exec_module(module_from_spec(spec))\n"
    )
    work = tree(tmp_path.resolve() / "work", {"job.py": text, "plug/in.py": ""})

    cold, warm = job(work), job(work)  # the second time its byte-code is opened

    assert [each.path for each in cold.data] == ["project/plug/in.py"]
    assert (warm.data, warm.warnings) == (cold.data, ())


def test_a_distribution_that_only_a_run_shows_is_needed(tmp_path: Path) -> None:
    work = tree(tmp_path.resolve() / "work", {"job.py": JOB, "loader.py": LOADER})

    resolution = job(work, "tekcosbew")

    assert [each.name for each in resolution.distributions] == ["websocket-client"]


ASKS = """\
import sys
from importlib import metadata

def ask(name):
    return metadata.version(name)

def plugins(group):
    return [each.name for each in metadata.entry_points(group=group)]

print(ask(sys.argv[1][::-1]))
print(plugins(sys.argv[2][::-1]))
"""


@pytest.mark.slow
def test_distributions_whose_metadata_a_run_reads_travel(tmp_path: Path) -> None:
    work = place(tmp_path, **{"job.py": ASKS})

    done = work.raybundle("trace", "job.py", "gifnocini", "11tsetyp")
    entry = json.loads((work.directory / LOCK).read_text())["targets"]["job.py"]
    later = {each.name for each in resolved(work).distributions}

    assert done.returncode == 0, done.stderr
    assert entry["distributions"]["iniconfig"] == {"importer": "__main__", "line": 5}
    assert "hypothesis" in entry["distributions"]  # a plugin of pytest
    assert {"iniconfig", "hypothesis"} <= later
    assert "mypy" not in later


def test_a_listing_of_all_that_is_installed_needs_nothing(tmp_path: Path) -> None:
    lists = "from importlib import metadata\nprint([each.version for each in metadata.distributions()])\n"
    work = tree(tmp_path.resolve() / "work", {"job.py": lists})

    assert job(work).distributions == ()


def test_a_directory_that_is_no_root_is_named_and_its_module_travels(tmp_path: Path) -> None:
    text = "import sys\nfor extra in sys.argv[1:]:\n    sys.path.append(extra)\n__import__('xobni'[::-1])\n"
    work = tree(tmp_path.resolve() / "work", {"job.py": text, "lib/inbox.py": ""})

    resolution = job(work, str(work / "lib"))
    [warning] = [each for each in resolution.warnings if "inbox" in each.text]

    assert (str(work / "lib/inbox.py") in warning.text, warning.hint) == (
        True,
        "add `lib` to `roots` in [tool.raybundle]",
    )
    assert [each.path for each in resolution.data] == ["project/lib/inbox.py"]


def test_another_file_than_the_job_would_take_is_a_warning_that_names_both(tmp_path: Path) -> None:
    text = "import sys\nfor first in sys.argv[1:]:\n    sys.path.insert(0, first)\nimport inbox\n"
    work = tree(tmp_path.resolve() / "work", {"job.py": text, "lib/inbox.py": "", "inbox.py": ""})

    resolution = job(work, str(work / "lib"))
    texts = [each.text for each in resolution.warnings if "loaded" in each.text]

    assert texts == [
        f"`inbox` was loaded from {work}/lib/inbox.py while traced, and the job takes {work}/inbox.py"
    ]


@pytest.mark.parametrize(
    ("end", "how"),
    [
        ("raise ValueError('half')", "ended with exit code 1"),
        ("sys.exit(7)", "ended with exit code 7"),
        ("import os; os._exit(8)", "ended with exit code 8"),
        ("import os; os.kill(os.getpid(), 15)", "was ended by SIGTERM"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
    ],
)
def test_what_a_run_did_until_it_failed_is_used(tmp_path: Path, end: str, how: str) -> None:
    work = tree(tmp_path.resolve() / "work", {"job.py": JOB + end + "\n", "loader.py": LOADER, "one.py": ""})

    resolution = job(work, "eno")

    assert "one" in names(resolution)
    assert [each.text for each in resolution.warnings] == [
        f"the target {how} while traced: only what it did until then is known"
    ]


def test_a_forked_child_is_seen_and_one_that_closes_all_its_files(tmp_path: Path) -> None:
    text = (
        "import os, loader\n"
        "child = os.fork()\n"
        "if child:\n"
        "    os.waitpid(child, 0)\n"
        "else:\n"
        "    os.closerange(3, 99)\n"
        "    loader.load('eno')\n"
        "    os._exit(0)\n"
    )
    work = tree(tmp_path.resolve() / "work", {"job.py": text, "loader.py": LOADER, "one.py": ""})

    assert found_by(job(work))["one"] == "traced"


def test_a_module_target_is_the_importer_of_what_it_imports(tmp_path: Path) -> None:
    work = tree(
        tmp_path.resolve() / "work",
        {"pkg/__init__.py": "", "pkg/run.py": LOADER + "load('eno.gkp')\n", "pkg/one.py": ""},
    )

    _, code, resolution = run(work, ModuleTarget(ModuleName("pkg.run")))

    assert code == 0
    assert [
        (each.importer, each.imported, each.line) for each in resolution.edges if each.rule == "trace"
    ] == [
        ("pkg.run", "pkg", 8),
        ("pkg.run", "pkg.one", 8),
    ]


@pytest.mark.slow
def test_trace_adds_to_one_plan_and_prints_the_target_on_stderr(tmp_path: Path) -> None:
    work = place(tmp_path, **{"job.py": JOB + "print('heard')\n__import__('eno'[::-1])\n"})

    done = work.raybundle("--json", "plan", "--trace", "job.py")
    document = json.loads(done.stdout)

    assert "heard\n" in done.stderr
    assert [edge["imported"] for edge in document["traced"]["only_traced"]] == ["one"]
    assert document["traced"]["not_imported"] == []
    assert (resolved(work).not_imported, (work.directory / LOCK).exists()) == (None, False)


def test_the_lock_is_no_configuration_that_names_modules(tmp_path: Path) -> None:
    work = place(tmp_path, **{"pkg/__init__.py": "", "pkg/one.py": ""})
    work.raybundle("trace", "job.py", "eno.gkp")

    assert {edge.rule for edge in resolved(work).edges if edge.imported == "pkg.one"} == {"trace"}


@pytest.mark.slow
def test_submit_and_plan_use_the_lock_and_continue_adds_to_it(tmp_path: Path) -> None:
    work = place(tmp_path)

    first = work.raybundle("trace", "job.py", "eno")
    one = names(resolved(work))
    work.raybundle("trace", "--continue", "job.py", "owt")
    both = names(resolved(work))
    why = work.raybundle("why", "job.py", "one")
    work.raybundle("trace", "job.py", "owt")

    assert first.returncode == 0, first.stderr
    assert one == {"__main__", "loader", "one"}
    assert both == {"__main__", "loader", "one", "two"}
    assert why.stdout.splitlines()[-1].endswith("loader.py:8: loader imports one (traced)")
    assert names(resolved(work)) == {"__main__", "loader", "two"}
    assert names(resolved(work, Tracing(("eno",)))) == {"__main__", "loader", "one", "two"}


def test_what_a_run_has_shown_settles_the_warning_at_its_line(tmp_path: Path) -> None:
    work = place(tmp_path)
    before = said(work)
    work.raybundle("trace", "job.py", "eno")

    assert (before, said(work)) == (["cannot know what `importlib.import_module(name)` imports"], [])


@pytest.mark.slow
def test_the_lock_is_the_same_bytes_from_another_directory(tmp_path: Path) -> None:
    opens = "open(__file__[:-6] + 'rows.csv')\n"
    work = place(tmp_path, **{"rows.csv": "", "two.py": opens})
    work.raybundle("trace", "job.py", "eno", "owt")
    expected = (work.directory / LOCK).read_bytes()
    clone = make_workplace(tmp_path / "deep" / "clone")
    shutil.copytree(work.directory, clone.directory, dirs_exist_ok=True)
    (clone.directory / LOCK).unlink()
    (clone.directory / "sub").mkdir()

    clone.raybundle("trace", "../job.py", "eno", "owt", cwd=clone.directory / "sub")
    again = clone.raybundle("--json", "trace", "job.py", "eno", "owt")

    assert json.loads(expected)["targets"]["job.py"]["files"] == {
        "project/rows.csv": {"importer": "two", "line": 1}
    }
    assert (clone.directory / LOCK).read_bytes() == expected
    assert json.loads(again.stdout)["written"] is False
    assert str(tmp_path).encode() not in expected


def test_a_lock_holds_several_targets(tmp_path: Path) -> None:
    work = place(tmp_path)
    work.raybundle("trace", "job.py", "eno")
    work.raybundle("trace", "-m", "job", "owt")

    targets = json.loads((work.directory / LOCK).read_text())["targets"]

    assert {key: sorted(entry["modules"]) for key, entry in targets.items()} == {
        "-m job": ["__main__", "loader", "two"],
        "job.py": ["__main__", "loader", "one"],
    }


def test_a_changed_importer_makes_the_lock_stale_and_other_changes_do_not(tmp_path: Path) -> None:
    work = place(tmp_path)
    work.raybundle("trace", "job.py", "eno")
    for name in ("job.py", "one.py"):
        with (work.directory / name).open("a") as stream:
            stream.write("# changed\n")
    quiet = said(work)
    with (work.directory / "loader.py").open("a") as stream:
        stream.write("# changed\n")

    loud, strict = said(work), work.raybundle("plan", "--strict", "job.py").returncode
    continued = work.raybundle("trace", "--continue", "job.py", "owt")

    assert quiet == []
    assert "stale" not in continued.stderr
    assert loud == [
        "cannot know what `importlib.import_module(name)` imports",
        f"{LOCK} is stale: loader.py has changed since",
    ]
    assert (strict, said(work)) == (3, [])
    assert "one" in names(resolved(work))


def test_what_is_gone_is_left_out_with_a_warning(tmp_path: Path) -> None:
    work = place(tmp_path, **{"rows.csv": "", "two.py": "open('rows.csv')\n"})
    work.raybundle("trace", "job.py", "eno", "owt")
    (work.directory / "one.py").unlink()
    (work.directory / "rows.csv").unlink()

    assert said(work) == [
        "`one` was imported while traced, and is gone: it is left out",
        "project/rows.csv was opened while traced, and is gone",
    ]
    assert names(resolved(work)) == {"__main__", "loader", "two"}


def test_a_record_of_another_python_is_used_and_said(tmp_path: Path) -> None:
    work = place(tmp_path)
    work.raybundle("trace", "job.py", "eno")
    lock = work.directory / LOCK
    document = json.loads(lock.read_text())
    [own] = document["targets"]["job.py"]["python"]
    document["targets"]["job.py"]["python"] = ["3.99"]
    lock.write_text(json.dumps(document))

    assert said(work) == [f"{LOCK} was recorded with Python 3.99, and this is {own}"]
    assert "one" in names(resolved(work))


def test_a_record_of_ray_asks_for_no_ray_where_the_bundle_is_built(tmp_path: Path) -> None:
    work = tree(tmp_path.resolve() / "work", {"job.py": "import ray\n"})
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    found = describe(tmp_path / "venv/bin/python", {}, work, Cache(tmp_path / "cache"))
    settings = ResolveSettings(project=work, traced=Traced((TracedModule("ray", ""),)))

    resolution = resolve(ScriptTarget(work / "job.py"), settings, found, work, Cache(tmp_path / "cache"))

    assert (resolution.missing, resolution.warnings) == ((), ())


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"format": 2, "targets": {}}',
        '{"format": 1, "targets": {"job.py": {"modules": []}}}',
        '{"format": 1, "targets": {"job.py": {"modules": {"a": {}}, "third_party": {}, "files": {}}}}',
    ],
)
def test_a_broken_lock_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    work = place(tmp_path)
    (work.directory / LOCK).write_text(text)

    with pytest.raises(UsageError, match=LOCK):
        resolved(work)


def test_an_interrupt_ends_the_target_and_its_children_and_records_nothing(tmp_path: Path) -> None:
    text = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "ready, told = os.pipe()\n"
        "child = os.fork()\n"
        "print('pid', os.getpid(), flush=True)\n"
        "os.write(told, b'x') if child == 0 else print('both', os.read(ready, 1), flush=True)\n"
        "time.sleep(600)\n"
    )
    work = place(tmp_path, **{"job.py": text})

    with work.started("trace", "job.py") as running:
        running.wait_for("both", running.stderr)
        running.process.send_signal(signal.SIGINT)
        code, _, _ = running.end()
    pids = [int(line.split()[1]) for line in running.stderr.read_text().splitlines() if line[:3] == "pid"]

    assert (code, (work.directory / LOCK).exists()) == (130, False)
    assert [pid for pid in pids if is_running(pid)] == []


def is_running(pid: int) -> bool:
    """Claims that a process is there and is no zombie."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")
