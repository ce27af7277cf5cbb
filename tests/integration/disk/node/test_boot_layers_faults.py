"""The boot with layers that are odd, damaged, or come from another submission."""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.values import LayerEntry
from raybundle.node.cache import raybundle_layers, raybundle_parallel
from tests.support.booting import make_interpreter, unpack
from tests.support.slow import rest_slow
from tests.support.unpacked_layers import HandMade, make_layer, with_byte_code

if TYPE_CHECKING:
    from tests.support.booting import Unpacked

from tests.integration.disk.node.test_boot_layers import left_in, on_node


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the version of the tests."""
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)


def refused(node: Unpacked, python: Path) -> str:
    """Returns the one line with which a driver has refused to run."""
    done = node.driver(python, "job.py")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1)
    return done.stderr


@pytest.mark.parametrize("odd", rest_slow([0, 7, 258, 4095], 1))
def test_what_deflates_to_almost_nothing_comes_out_whole(tmp_path: Path, python: Path, odd: int) -> None:
    size = 2 * raybundle_layers.CHUNK + odd
    layer = make_layer("zeros", {"zeros.bin": bytes(size), "zeros.py": ""})
    script = "import os, zeros; print(os.path.getsize(os.path.dirname(zeros.__file__) + '/zeros.bin'))\n"

    done = on_node(tmp_path, python, script, [layer]).driver(python, "job.py")

    assert done.stdout == f"{size}\n", done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_takes_a_part_of_a_file_is_full(tmp_path: Path, python: Path) -> None:
    layer = make_layer("big", {"big.bin": bytes(3_900_000)})
    (tmp_path / "cache").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", tmp_path / "cache"], check=True)
    try:
        node = on_node(tmp_path, python, "print('RAN')\n", [layer])

        assert "No space left on device" in refused(node, python)
        assert left_in(node) == []
    finally:
        subprocess.run(["umount", tmp_path / "cache"], check=True)


def test_a_layer_that_is_whole_stays_where_the_next_one_is_not(tmp_path: Path, python: Path) -> None:
    large = make_layer("large", {"large.bin": os.urandom(1 << 20)})
    small = make_layer("small", {"small.py": "X = 1\n"})
    wrong = {name: small.members[name] for name in small.members if name.endswith(".json")}
    other = make_layer("small", {"small.py": "X = 2\n"}).members.items()
    wrong |= {f"{small.hex}.zip": data for name, data in other if name.endswith(".zip")}
    node = on_node(tmp_path, python, "print('RAN')\n", [large, replace(small, members=wrong)])

    assert "small.py" in refused(node, python)
    [kept] = left_in(node)
    assert kept.startswith(large.hex)


def test_a_layer_under_another_name_is_refused(tmp_path: Path, python: Path) -> None:
    layer = make_layer("honest", {"honest.py": ""})
    renamed = replace(layer, entry=LayerEntry("other", "1.0", layer.entry.digest))

    line = refused(on_node(tmp_path, python, "print('RAN')\n", [renamed]), python)

    assert "expected other 1.0, found honest 1.0" in line


def test_a_file_where_another_layer_has_a_directory_is_refused(tmp_path: Path, python: Path) -> None:
    layers = [
        make_layer("one", {"pkg/clash": "file"}),
        make_layer("two", {"pkg/clash/x.py": ""}),
        make_layer("three", {"pkg/other.py": ""}),
    ]
    node = on_node(tmp_path, python, "print('RAN')\n", layers)

    line = refused(node, python)

    assert re.search("file pkg/clash: expected (a file|a directory) as in (one|two) 1.0, found ", line)
    assert "a file in one 1.0" in line.replace(" as in ", " in ")
    assert "a directory in two 1.0" in line.replace(" as in ", " in ")
    assert [entry.name for entry in (node.private / "environments").iterdir()] == []


def test_a_directory_of_an_archive_that_is_damaged_is_named(tmp_path: Path, python: Path) -> None:
    layer = make_layer("bad", {"bad.py": "", "b\u00e4d.txt": ""})
    [name] = [name for name in layer.members if name.endswith(".zip")]
    content = layer.members[name]
    start = content.rindex("b\u00e4d.txt".encode())
    broken = content[:start] + b"b\xff\xff" + content[start + 3 :]
    node = on_node(
        tmp_path, python, "print('RAN')\n", [replace(layer, members={**layer.members, name: broken})]
    )

    line = refused(node, python)

    assert f"{name}: expected a zip file, found " in line


def test_a_member_that_claims_more_than_the_archive_has_is_refused(tmp_path: Path, python: Path) -> None:
    layer = make_layer("bad", {"bad.bin": bytes(5000)})
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("bad.bin", b"less")
        archive.infolist()[0].compress_size = 1 << 62
    members = {**layer.members, f"{layer.hex}.zip": content.getvalue()}

    line = refused(on_node(tmp_path, python, "print('RAN')\n", [replace(layer, members=members)]), python)

    assert f"file bad.bin in {tmp_path}" in line
    assert "expected sha256" in line


@pytest.mark.parametrize(
    ("found", "replaced_by"),
    [
        pytest.param('"provided":[]', '"provided":[null]', id="another type"),
        pytest.param("project/pkg/__init__.py", "project/pkg\\u0000", id="a path that no disk has"),
        pytest.param("project/pkg/__init__.py", "project/pkg\\ud800", id="a path that is not Unicode"),
        pytest.param('"executable"', '"e"', id="other keys"),
    ],
)
def test_a_manifest_that_no_writer_makes_leaves_nothing_in_the_cache(
    tmp_path: Path, python: Path, found: str, replaced_by: str
) -> None:
    node = on_node(tmp_path, python, "print('RAN')\n", [make_layer("small", {"small.py": ""})])
    file = node.scratch / ".raybundle/manifest.json"
    file.write_text(file.read_text().replace(found, replaced_by))
    digest = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    node = replace(node, environ={**node.environ, "RAYBUNDLE_DIGEST": digest})

    assert f"boot failed: bundle {digest}" in refused(node, python)
    assert [name for name in left_in(node) if name.endswith(".partial")] == []


def test_paths_are_utf_8_on_disk_whatever_the_locale_of_the_process(tmp_path: Path, python: Path) -> None:
    layer = make_layer("named", {"named/__init__.py": "", "named/\u00fc.txt": "text"})
    script = "import named, os; print(os.listdir(os.path.dirname(os.fsencode(named.__file__))))\n"
    node = on_node(tmp_path, python, script, [layer])
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    done = node.run(python, "job.py", env={**ascii_only, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"})

    assert str("\u00fc.txt".encode()) in done.stdout, done.stderr


LONG = ("m" * 252, "\u30e2" * 84)
"""Names of 252 bytes: those of their byte-code would be too long."""


def test_modules_with_the_longest_names_run_though_their_byte_code_has_no_name(
    tmp_path: Path, python: Path
) -> None:
    layer = make_layer("named", {"named/__init__.py": "", **{f"named/{name}.py": "" for name in LONG}})
    node = on_node(
        tmp_path / "layer", python, f"from named import {', '.join(LONG)}; print('ran')\n", [layer]
    )
    own = {"project/job.py": f"import {', '.join(LONG)}; print('ran')\n"}
    other = unpack(tmp_path / "project", {**own, **{f"project/{name}.py": "" for name in LONG}})

    for each in (node, other):
        done = each.driver(python, "job.py")
        assert (done.returncode, done.stdout) == (0, "ran\n"), done.stderr


@pytest.mark.slow
def test_what_a_killed_process_has_started_ends_before_its_work_is_done(tmp_path: Path, python: Path) -> None:
    number = 600
    slow = "".join(f"X{n} = {{'a': [{n}, (1, 2)]}}\n" for n in range(400))
    layer = make_layer("big", {f"big/m{n}.py": slow for n in range(number)})
    node = on_node(tmp_path, python, "print('RAN')\n", [layer])
    environ = {**node.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    process = subprocess.Popen([python, "job.py"], cwd=node.scratch, env=environ)
    while not list(node.private.glob("layers/*.partial/big/__pycache__/*.pyc")):
        assert process.poll() is None
    process.kill()
    process.wait()

    with (node.private / "materialise.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the last of them has ended

        written = list(node.private.glob("layers/*.partial/big/__pycache__/*.pyc"))
    share = number // min(raybundle_parallel.MOST_PROCESSES, len(os.sched_getaffinity(0)))
    assert len(written) < share, f"{len(written)} of {number}"


def test_the_next_process_keeps_the_files_that_a_killed_one_has_written_whole(
    tmp_path: Path, python: Path
) -> None:
    right = {"__init__.py": "X = 1\n", "torn.py": "Y = 2\n", "whole.bin": "data"}
    layer = make_layer("big", {f"big/{name}": text for name, text in right.items()})
    script = "import big, big.torn; print(big.X, big.torn.Y, 'cached' if big.__cached__ else '')\n"
    node = on_node(tmp_path, python, script, [layer])
    begun = begin(node, layer, {f"big/{name}": text for name, text in {**right, "torn.py": "Y = "}.items()})
    begun = begun / "big"
    (begun / "__pycache__").mkdir()
    (begun / "__pycache__" / f"__init__.{sys.implementation.cache_tag}.pyc").write_bytes(b"torn")
    kept = (begun / "whole.bin").stat()
    begun.chmod(0o500)

    done = node.driver(python, "job.py")

    assert done.stdout == "1 2 cached\n", done.stderr
    [unpacked] = filter(Path.is_dir, (node.private / "layers").iterdir())
    again = (unpacked / "big" / "whole.bin").stat()
    assert (again.st_ino, again.st_mtime_ns) == (kept.st_ino, kept.st_mtime_ns)


def test_a_job_that_fails_leaves_the_layer_that_another_has_begun(tmp_path: Path, python: Path) -> None:
    good = make_layer("good", {"good.py": "X = 1\n"})
    bad = make_layer("bad", {"bad.py": "X = 1\n"})
    other = make_layer("bad", {"bad.py": "X = 2\n"})
    damaged = {**bad.members, f"{bad.hex}.zip": other.members[f"{other.hex}.zip"]}
    node = on_node(tmp_path, python, "print('RAN')\n", [replace(bad, members=damaged)])
    begun = begin(node, good, {"good.py": "X ="})

    assert "bad.py" in refused(node, python)
    assert left_in(node) == [begun.name]


@pytest.mark.slow
def test_what_is_there_of_a_layer_needs_no_room_again(tmp_path: Path, python: Path) -> None:
    size = 300_000
    data = os.urandom(size)
    layers = [make_layer("first", {"first": os.urandom(size)}), make_layer("second", {"second": data})]
    bound = {"RAYBUNDLE_CACHE_BYTES": str(2 * size + 100_000), "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    nodes = [on_node(tmp_path / f"job-{layer.entry.name}", python, "print(1)\n", [layer]) for layer in layers]
    assert nodes[0].run(python, "job.py", env=bound).returncode == 0
    begin(nodes[1], layers[1], {"second": data})

    assert nodes[1].run(python, "job.py", env=bound).returncode == 0
    assert {name[:64] for name in left_in(nodes[0])} >= {layer.hex for layer in layers}


def begin(node: Unpacked, layer: HandMade, files: dict[str, str | bytes]) -> Path:
    """Returns the directory of a layer of which a killed process has written these files."""
    begun = node.private / "layers" / f"{layer.hex}-{sys.implementation.cache_tag}.partial"
    for name, content in files.items():
        (begun / name).parent.mkdir(parents=True, exist_ok=True)
        (begun / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        (begun / name).chmod(0o400)
    for directory in (node.private, node.private / "layers"):
        directory.chmod(0o700)
    return begun


@pytest.mark.slow
def test_byte_code_that_this_submission_has_not_named_does_not_run(tmp_path: Path, python: Path) -> None:
    plain = make_layer("mine", {"mine.py": "print('source')\n"})
    poisoned = with_byte_code(plain, python, {"mine.py": "print('another submission')\n"})
    (tmp_path / "job1").mkdir()
    first = on_node(tmp_path / "job1", python, "import mine\n", [poisoned])
    assert first.driver(python, "job.py").stdout == "another submission\n"

    again = resubmitted(first, plain)

    assert again.driver(python, "job.py").stdout == "source\n"
    assert first.driver(python, "job.py").stdout == "another submission\n"


@pytest.mark.slow
def test_a_running_job_goes_on_while_its_bundle_is_submitted_with_another_delivery(
    tmp_path: Path, python: Path
) -> None:
    plain = make_layer("mine", {"mine.py": "print('source')\n"})
    compiled = with_byte_code(plain, python, {"mine.py": "print('first submission')\n"})
    job = (
        "import mine, subprocess, sys\n"
        "for _ in sys.stdin: subprocess.run([sys.executable, '-c', 'import mine'])\n"
    )
    first = on_node(tmp_path, python, job, [compiled])
    again = resubmitted(first, plain)
    environ = {**first.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    command = [str(python), "-u", "job.py"]
    with subprocess.Popen(
        command, cwd=first.scratch, env=environ, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        assert running.stdout.readline() == "first submission\n"
        for _ in range(2):
            assert again.driver(python, "-c", "import mine").stdout == "source\n"
            for place in first.environ["PYTHONPATH"].split(":")[:-1]:
                shutil.rmtree(place, ignore_errors=True)  # Ray evicts what it has fetched
            running.stdin.write("\n")
            running.stdin.flush()
            assert running.stdout.readline() == "first submission\n"
        running.stdin.close()

    assert running.returncode == 0


def resubmitted(node: Unpacked, layer: HandMade) -> Unpacked:
    """Returns the node with the same bundle, submitted with a delivery that names no byte-code."""
    delivery = json.dumps({"absent": {}, "byte_code": {}, "format": 1}, separators=(",", ":")).encode()
    scratch = node.scratch.parent / "again"
    subprocess.run(["cp", "-r", node.scratch, scratch], check=True)
    (scratch / ".raybundle" / "delivery.json").write_bytes(delivery)
    places = node.environ["PYTHONPATH"].replace(str(node.scratch), str(scratch))
    assert layer.hex[:16] in places
    changed = {"PYTHONPATH": places, "RAYBUNDLE_DELIVERY": hashlib.sha256(delivery).hexdigest()}
    return replace(node, scratch=scratch, environ={**node.environ, **changed})
