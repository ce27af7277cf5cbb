"""Secrets in real interpreters of every supported version: what the boot finds, keeps, and never says."""

from __future__ import annotations

import os
import secrets
import sys
import time
from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.runtime_env import render_runtime_env
from raybundle.model import Digest
from tests.support.booting import PRIVATE, find_base, last_json, make_interpreter, unpack

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.booting import Unpacked

SHOW = "import json, os; print(json.dumps(os.environ.get('TOKEN')))\n"


@pytest.fixture(scope="module", params=["3.10", "3.11", "3.12", "3.13"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of each supported version, with a `ray` to link to."""
    base = find_base(request.param) or pytest.skip(f"no Python {request.param} here")
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", base)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the version that runs the tests, where the version does not matter."""
    return make_interpreter(tmp_path_factory.mktemp("own") / "env", sys.executable)


@pytest.fixture
def canary() -> str:
    """A secret that no other test has; it may stand in what a job prints, and nowhere else."""
    return f"canary-{secrets.token_hex(16)}"


def node_for(tmp_path: Path, python: Path, script: str = SHOW) -> Unpacked:
    [library] = (python.parent.parent / "lib").glob("python3.*")
    files = {"project/job.py": f"{script}# {time.time_ns()}\n"}
    return unpack(tmp_path, files, python=library.name.removeprefix("python"))


def variables(node: Unpacked, references: Mapping[str, str]) -> dict[str, str]:
    """What the client puts into `env_vars`, and Ray over the node's variables."""
    env = render_runtime_env(Digest(node.digest), node.environ["RAYBUNDLE_BOOT"], "gcs://x", {}, references)
    found: dict[str, str] = env["env_vars"]
    return found


def drive(
    node: Unpacked, python: Path, references: Mapping[str, str], env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the driver; `env` is what a node, or a task of its own, has besides."""
    given = {**(env or {}), "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    return node.run(python, "job.py", env={**variables(node, references), **given})


def written(directory: Path, data: bytes) -> Path:
    file = directory / "with a space and ünïcode"
    file.write_bytes(data)
    return file


@pytest.mark.parametrize(
    ("ending", "kept"),
    [("", ""), ("\n", ""), ("\n\n", "\n"), (" \t\r\n", " \t\r"), ("\nb=ß🦖", "\nb=ß🦖")],
)
def test_a_file_gives_its_text_without_one_newline_at_the_end(
    tmp_path: Path, python: Path, canary: str, ending: str, kept: str
) -> None:
    node = node_for(tmp_path, python)
    file = written(tmp_path, f"{canary}{ending}".encode())

    assert last_json(drive(node, python, {"TOKEN": f"file:{file}"})) == canary + kept


def test_a_variable_of_the_node_is_found_under_another_name_and_its_own(
    tmp_path: Path, python: Path, canary: str
) -> None:
    node = node_for(tmp_path, python)

    other = drive(node, python, {"TOKEN": "env:NODE_TOKEN"}, {"NODE_TOKEN": canary})
    own_name = drive(node, python, {"TOKEN": "env:TOKEN"}, {"TOKEN": canary})

    assert (last_json(other), last_json(own_name)) == (canary, canary)


def test_bytes_arrive_as_they_are_where_the_nodes_locale_has_no_unicode(
    tmp_path: Path, own: Path, canary: str
) -> None:
    node = node_for(tmp_path, own, "import json, os; print(json.dumps(os.environb[b'TOKEN'].decode()))\n")
    file = tmp_path / "file"
    file.write_text(f"{canary}€", encoding="utf-8")
    plain = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}

    assert last_json(drive(node, own, {"TOKEN": f"file:{file}"}, plain)) == f"{canary}€"


@pytest.mark.slow
def test_children_have_the_secret_and_what_their_parent_gives_them_instead(
    tmp_path: Path, python: Path, canary: str
) -> None:
    script = (
        "import json, multiprocessing, os, subprocess, sys\n"
        "def get(_=0): return os.environ.get('TOKEN')\n"
        "def child(**env):\n"
        f"    show = {SHOW!r}\n"
        "    out = subprocess.check_output([sys.executable, '-c', show], env={**os.environ, **env})\n"
        "    return json.loads(out)\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        found = [get(), child(), pool.map(get, [0])[0], child(TOKEN='other')]\n"
        "    del os.environ['TOKEN']\n"
        "    print(json.dumps([*found, child()]))\n"
    )
    node = node_for(tmp_path, python, script)
    file = written(tmp_path, canary.encode())

    from_file = drive(node, python, {"TOKEN": f"file:{file}"})
    own_name = drive(node, python, {"TOKEN": "env:TOKEN"}, {"TOKEN": canary})

    assert last_json(from_file) == [canary, canary, canary, "other", None]
    assert last_json(own_name) == [canary, canary, canary, "other", None]


def test_a_tasks_own_value_beats_the_secret_and_the_secret_beats_the_nodes(
    tmp_path: Path, own: Path, canary: str
) -> None:
    node = node_for(tmp_path, own)
    references = {"TOKEN": f"file:{written(tmp_path, canary.encode())}"}
    of_the_node, of_a_task = {"TOKEN": "node"}, {"TOKEN": "task"}

    def run(env: Mapping[str, str]) -> str:
        done = node.run(own, "job.py", env={**env, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"})
        return str(last_json(done))

    assert run({**of_the_node, **variables(node, references)}) == canary
    assert run({**of_the_node, **variables(node, references), **of_a_task}) == "task"


def test_a_users_sitecustomize_and_a_worker_have_the_secret(
    tmp_path: Path, python: Path, canary: str
) -> None:
    worker = tmp_path / "ray" / "_private" / "workers" / "default_worker.py"
    worker.parent.mkdir(parents=True)
    worker.write_text("import sitecustomize; print(sitecustomize.FOUND)\n")
    [library] = (python.parent.parent / "lib").glob("python3.*")
    early = f"import json, os; FOUND = json.dumps(os.environ['TOKEN']) # {time.time_ns()}\n"
    files = {"project/job.py": SHOW, "project/sitecustomize.py": early}
    node = unpack(tmp_path, files, python=library.name.removeprefix("python"))
    references = {"TOKEN": f"file:{written(tmp_path, canary.encode())}"}

    assert last_json(node.run(python, str(worker), env=variables(node, references))) == canary


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (None, "none"),
        (b"", "nothing in it"),
        (b"\n", "nothing in it"),
        (b"CANARY\0CANARY", "a NUL byte"),
        (b"CANARY\xff", "bytes that are not UTF-8"),
        ((b"CANARY" * 22_000)[:131066], "more than 131065 bytes"),
    ],
    ids=["missing", "empty", "newline", "nul", "no text", "long"],
)
def test_a_file_without_a_secret_stops_the_driver_with_one_line(
    tmp_path: Path, python: Path, data: bytes | None, found: str
) -> None:
    node = node_for(tmp_path, python)
    file = tmp_path / "file"
    if data is not None:
        file.write_bytes(data)

    done = drive(node, python, {"TOKEN": f"file:{file}"})

    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.startswith(f"raybundle: boot failed: bundle {node.digest}: node {os.uname().nodename}")
    assert done.stderr.endswith(f": file {file}: expected the secret TOKEN, found {found}\n")
    assert done.stderr.count("\n") == 1
    assert "CANARY" not in done.stderr


def test_the_longest_secret_that_a_process_can_have_is_found(tmp_path: Path, own: Path) -> None:
    show = "import os; print(len(os.environ['TOKEN']))"
    node = node_for(tmp_path, own, f"import os, sys; os.execv(sys.executable, ['python', '-c', {show!r}])\n")
    file = tmp_path / "file"
    file.write_bytes(b"x" * 131065 + b"\n")

    assert last_json(drive(node, own, {"TOKEN": f"file:{file}"})) == 131065


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (os.mkdir, "Is a directory"),
        (os.mkfifo, "nothing in it"),
        (lambda place: place.symlink_to(place), "Too many levels of symbolic links"),
    ],
    ids=["directory", "pipe", "loop"],
)
def test_what_is_no_file_stops_the_driver_and_never_hangs_it(
    tmp_path: Path, own: Path, make: Callable[[Path], None], found: str
) -> None:
    node = node_for(tmp_path, own)
    place = tmp_path / "place"
    make(place)

    done = drive(node, own, {"TOKEN": f"file:{place}"})

    assert (done.returncode, done.stdout) == (78, "")
    assert f"file {place}: expected the secret TOKEN, found {found}\n" in done.stderr


@pytest.mark.parametrize("variable", ["NODE_TOKEN", "TOKEN"])
def test_a_variable_that_the_node_has_not_stops_the_driver(
    tmp_path: Path, python: Path, variable: str
) -> None:
    node = node_for(tmp_path, python)

    done = drive(node, python, {"TOKEN": f"env:{variable}"})

    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.endswith(f": variable {variable}: expected the secret TOKEN, found none\n")
    assert done.stderr.count("\n") == 1


def test_no_error_of_a_second_secret_has_the_first(tmp_path: Path, own: Path, canary: str) -> None:
    node = node_for(tmp_path, own)
    references = {"A": f"file:{written(tmp_path, canary.encode())}", "B": "env:NODE_B"}

    done = drive(node, own, references)

    assert done.returncode == 78
    assert canary not in done.stdout + done.stderr


def test_nothing_of_a_secret_is_kept_in_the_cache_of_the_node(tmp_path: Path, own: Path, canary: str) -> None:
    node = node_for(tmp_path, own)
    references = {"TOKEN": f"file:{written(tmp_path, canary.encode())}"}
    assert last_json(drive(node, own, references)) == canary

    boot = PRIVATE / "boot" / node.environ["RAYBUNDLE_BOOT"]
    kept = [file for folder in (node.tree, boot) for file in folder.rglob("*") if file.is_file()]
    kept += [*PRIVATE.glob("*.lock"), node.tree.with_name(f"{node.tree.name}.lock")]
    assert {"record", "job.py", "raybundle_boot.py"} <= {file.name for file in kept}
    assert [file for file in kept if canary.encode() in file.read_bytes()] == []


def test_a_warm_boot_with_secrets_loads_only_what_reads_them(tmp_path: Path, own: Path, canary: str) -> None:
    node = node_for(tmp_path, own)
    loaded = "import sys; print('\\n'.join(sys.modules))"
    references = {"TOKEN": f"file:{written(tmp_path, canary.encode())}"}
    last_json(drive(node, own, references))

    without = node.run(own, "-c", loaded).stdout
    with_secrets = node.run(own, "-c", loaded, env=variables(node, references)).stdout

    assert set(with_secrets.split()) == {*without.split(), "raybundle_secrets"}
