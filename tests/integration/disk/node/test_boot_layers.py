"""The boot with layers: real interpreters, hand-made layers, directories as Ray leaves them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.booting import find_base, last_json, make_interpreter, unpack, with_cache_at
from tests.support.unpacked_layers import HandMade, deliver, make_layer, with_byte_code

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.support.booting import Unpacked

PATH = ("project:.", "stdlib", "layers", "ray")
METADATA = "Metadata-Version: 2.1\nName: {0}\nVersion: 1.0\n"


@pytest.fixture(scope="module", params=["3.10", "3.11", "3.12", "3.13"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of each supported version, with a `ray` to link to."""
    base = find_base(request.param) or pytest.skip(f"no Python {request.param} here")
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", base)


@pytest.fixture(scope="module")
def this_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of the version of the tests."""
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)


def version_of(python: Path) -> str:
    [library] = (python.parent.parent / "lib").glob("python3.*")
    return library.name.removeprefix("python")


def on_node(
    directory: Path,
    python: Path,
    script: str,
    layers: Sequence[HandMade],
    absent: dict[str, str] | None = None,
) -> Unpacked:
    """A node with a cache of its own that has fetched a bundle of one script with these layers."""
    files = {"project/job.py": f"{script}# {time.time_ns()}\n", "project/pkg/__init__.py": ""}
    entries = [layer.entry for layer in layers]
    node = unpack(directory, files, python=version_of(python), path=PATH, layers=entries)
    cache = directory.parent / "cache" if directory.name.startswith("job") else directory / "cache"
    cache.mkdir(exist_ok=True)
    return deliver(with_cache_at(node, cache), layers, absent)


def package(name: str, text: str = "X = 1\n") -> HandMade:
    metadata = {f"{name}-1.0.dist-info/METADATA": METADATA.format(name)}
    return make_layer(name, {f"{name}/__init__.py": text, **metadata})


def test_layers_are_one_directory_as_site_packages_would_be(tmp_path: Path, python: Path) -> None:
    first = make_layer(
        "space-one",
        {
            "space/one/__init__.py": "X = 1\n",
            "space_one-1.0.dist-info/METADATA": METADATA.format("space-one"),
        },
    )
    second = make_layer(
        "space-two",
        {"space/two.py": "Y = 2\n", "two.libs/lib.bin": b"\0native", "two/tool": "#!/bin/sh\n"},
        executables=["two/tool"],
    )
    script = (
        "import importlib.metadata, json, os, sys\n"
        "import space.one, space.two\n"
        "[directory] = space.__path__\n"
        "environment = os.path.dirname(directory)\n"
        "libraries = open(environment + '/two.libs/lib.bin', 'rb').read()\n"
        "places = ('/two/tool', '/space/two.py', '/space', '')\n"
        "modes = [oct(os.stat(environment + place).st_mode)[-3:] for place in places]\n"
        "version = importlib.metadata.version('space-one')\n"
        "print(json.dumps([sys.path, environment, modes, libraries.decode(), version]))\n"
    )
    node = on_node(tmp_path, python, script, [first, second])

    path, environment, modes, libraries, version = last_json(node.driver(python, "job.py"))

    assert path[0] == f"{node.tree}/project"
    assert path.index(environment) == len(path) - 3
    assert not any("py_modules" in entry for entry in path)
    assert modes == ["500", "400", "500", "500"]
    assert libraries == "\0native"
    assert version == "1.0"


def test_byte_code_that_travels_is_used_and_what_has_none_is_compiled(tmp_path: Path, python: Path) -> None:
    text = "import sys\nX = __cached__\n"
    shipped = with_byte_code(
        make_layer("shipped", {"shipped.py": text}), python, {"shipped.py": text + "Y = 1\n"}
    )
    plain = make_layer(
        "plain", {"plain/__init__.py": text, "plain/tests/__init__.py": text, "broken.py": "no("}
    )
    script = (
        "import json, os, plain, shipped\n"
        "folder = os.path.dirname(plain.__file__)\n"
        "flags = open(plain.X, 'rb').read(8)[4:].hex()\n"
        "compiled, tests = os.listdir(folder + '/__pycache__'), os.listdir(folder + '/tests')\n"
        "print(json.dumps([shipped.Y, flags, compiled, tests]))\n"
    )
    node = on_node(tmp_path, python, script, [shipped, plain])

    used, flags, compiled, tests = last_json(node.driver(python, "job.py"))

    assert used == 1
    assert flags == "01000000"
    assert len(compiled) == 1
    assert "__init__.py" in tests


def test_layers_in_parts_are_read_as_wholes_wherever_the_parts_are(tmp_path: Path, this_python: Path) -> None:
    files = {"parted.py": "X = 1\n"}
    first = with_byte_code(
        make_layer("parted", {**files, "data.bin": os.urandom(50_000)}), this_python, files
    )
    second = make_layer("another", {"another.py": "Y = 2\n", "other.bin": os.urandom(9_000)})
    script = "import another, parted; print([parted.X, another.Y])\n"
    node = on_node(tmp_path, this_python, script, [first.in_parts(3_000), second.in_parts(8_000)])

    assert last_json(node.driver(this_python, "job.py")) == [1, 2]


@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_part_that_is_missing_is_named_in_one_line(tmp_path: Path, this_python: Path, number: int) -> None:
    layer = make_layer("parted", {"parted.py": "X = 1\n", "data.bin": os.urandom(9_500)}).in_parts(2_000)
    parts = [name for name in layer.members if name[-3:].isdecimal()]
    node = on_node(tmp_path, this_python, "print('RAN')\n", [layer])
    shutil.rmtree(tmp_path / "py_modules_files" / parts[number])

    done = node.driver(this_python, "job.py")

    assert (len(parts), done.returncode, done.stdout) == (5, 78, "")
    assert done.stderr.count("\n") == 1
    assert f"{parts[number]}: expected " in done.stderr
    assert ", found " in done.stderr


@pytest.mark.parametrize(
    "damage", ["document", "content", "cut", "listing", "byte-code", "delivery", "missing"]
)
def test_what_is_not_as_the_submission_named_it_runs_nothing_and_leaves_nothing(
    tmp_path: Path, this_python: Path, damage: str
) -> None:
    mine, planted = {"mine.py": "X = 1\n"}, {"mine.py": "print('PLANTED')\n"}
    layer = with_byte_code(make_layer("mine", mine), this_python, mine)
    other = with_byte_code(make_layer("mine", planted), this_python, planted)
    sound = package("other")
    node = on_node(tmp_path, this_python, "import mine\nprint('RAN')\n", [layer, sound])
    place = tmp_path / "py_modules_files" / layer.hex[:16]
    plain, compiled = layer.hex, f"{layer.hex}-{layer.byte_code}"
    replaced = {
        "document": {f"{plain}.json": f"{other.hex}.json", f"{plain}.zip": f"{other.hex}.zip"},
        "content": {f"{plain}.zip": f"{other.hex}.zip"},
        "listing": {f"{compiled}.json": f"{other.hex}-{other.byte_code}.json"},
        "byte-code": {f"{compiled}.zip": f"{other.hex}-{other.byte_code}.zip"},
    }
    for name, source in replaced.get(damage, {}).items():
        (place / name).write_bytes(other.members[source])
    if damage == "delivery":
        (node.scratch / ".raybundle" / "delivery.json").write_text('{"format":1}')
    elif damage == "missing":
        shutil.rmtree(place)
    elif damage == "cut":
        (place / f"{plain}.zip").write_bytes(layer.members[f"{plain}.zip"][:-30])

    done = node.driver(this_python, "job.py")

    assert (done.returncode, done.stdout) == (78, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert "expected" in done.stderr
    assert "found" in done.stderr
    assert [name for name in left_in(node) if not name.startswith(sound.hex)] == []


def left_in(node: Unpacked) -> list[str]:
    """What the cache holds of trees, layers and environments."""
    folders = [node.private / name for name in ("trees", "layers", "environments")]
    return sorted(entry.name for folder in folders for entry in folder.iterdir() if entry.is_dir())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("../outside.py", "expected paths below the layer, found ../outside.py"),
        ("/etc/planted.py", "expected paths below the layer, found /etc/planted.py"),
        ("a/./b.py", "expected paths below the layer"),
        ("a\\b.py", "expected paths below the layer"),
        ("__pycache__/a.cpython-311.pyc", "expected no byte-code"),
        ("a.pyc", "expected no byte-code"),
    ],
)
def test_a_path_that_no_layer_may_have_is_refused(
    tmp_path: Path, this_python: Path, path: str, expected: str
) -> None:
    node = on_node(tmp_path, this_python, "print('RAN')\n", [make_layer("bad", {path: "X = 1\n"})])

    done = node.driver(this_python, "job.py")

    assert (done.returncode, done.stdout) == (78, "")
    assert expected in done.stderr
    assert left_in(node) == []


def test_of_two_layers_with_one_file_the_first_by_digest_has_it_with_its_own_byte_code(
    tmp_path: Path, this_python: Path
) -> None:
    text, other = "raise ValueError(\n", "X = 'second'\n"
    first = make_layer("f", {"same/__init__.py": "X = 'first'\n", "same/broken.py": text})
    second = next(
        layer
        for number in range(99)
        if (layer := make_layer(f"a{number}", {"same/__init__.py": other, "same/broken.py": other})).hex
        > first.hex
    )
    script = "import same\nprint(same.X)\ntry: import same.broken\nexcept SyntaxError: print('its own')\n"
    node = on_node(tmp_path, this_python, script, [second, first])

    done = node.driver(this_python, "job.py")

    assert done.stdout == "first\nits own\n", done.stderr


def test_bundles_share_the_layers_and_the_environment_that_they_have_in_common(
    tmp_path: Path, this_python: Path
) -> None:
    shared, more = package("shared"), package("more")
    script = "import os, shared; print(os.stat(shared.__file__).st_ino)\n"
    inodes = {
        last_json(on_node(tmp_path / f"job{n}", this_python, script, layers).driver(this_python, "job.py"))
        for n, layers in enumerate([[shared], [shared], [shared, more]])
    }

    cache = next((tmp_path / "cache").iterdir())
    assert len(inodes) == 1
    assert len([e for e in (cache / "environments").iterdir() if e.is_dir()]) == 2
    assert len([e for e in (cache / "layers").iterdir() if e.is_dir()]) == 2


@pytest.mark.slow
def test_twenty_processes_on_a_cold_node_unpack_each_layer_once(tmp_path: Path, this_python: Path) -> None:
    script = "import os, numbers_, json; print(json.dumps(os.stat(numbers_.__file__).st_ino))\n"
    many = {f"numbers_/m{n}.py": f"X = {n}\n" for n in range(300)}
    node = on_node(
        tmp_path, this_python, script, [make_layer("numbers", {"numbers_/__init__.py": "", **many})]
    )

    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda _: node.run(this_python, f"{node.tree}/project/job.py"), range(20)))

    assert len({last_json(one) for one in done}) == 1
    assert len(left_in(node)) == 3


@pytest.mark.slow
def test_a_process_killed_while_it_unpacks_leaves_nothing_torn(tmp_path: Path, this_python: Path) -> None:
    many = {f"big/m{n}.py": f"X = {n}\n" * 300 for n in range(1500)}
    layer = make_layer("big", {"big/__init__.py": "", **many})
    node = on_node(tmp_path, this_python, "import big.m1499; print(big.m1499.X)\n", [layer])
    environ = {**node.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    process = subprocess.Popen([this_python, "job.py"], cwd=node.scratch, env=environ, stdout=subprocess.PIPE)
    while not list(node.private.glob("layers/*.partial/big/*.py")):
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not [name for name in left_in(node) if not name.endswith(".partial")]

    done = node.driver(this_python, "job.py")

    assert done.stdout == "1499\n", done.stderr
    assert len(left_in(node)) == 3
    assert len(list(node.private.glob("layers/*/big/*.py"))) == 1501


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(tmp_path: Path, this_python: Path) -> None:
    layer = make_layer("big", {"big.bin": os.urandom(6 << 20), "big.py": ""})
    (tmp_path / "cache").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", tmp_path / "cache"], check=True)
    try:
        node = on_node(tmp_path, this_python, "print('RAN')\n", [layer])
        done = node.driver(this_python, "job.py")

        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.count("\n") == 1
        assert "No space left on device" in done.stderr
        assert left_in(node) == []
    finally:
        subprocess.run(["umount", tmp_path / "cache"], check=True)


def test_a_child_makes_what_was_cleaned_away_again(tmp_path: Path, this_python: Path) -> None:
    child = (
        "import mine, os, sys; print(mine.X, 'py_modules' in ':'.join([*sys.path, os.environ['PYTHONPATH']]))"
    )
    script = (
        "import mine, os, shutil, subprocess, sys\n"
        "shutil.rmtree(sys.argv[1])\n"
        f"print(subprocess.check_output([sys.executable, '-c', {child!r}], text=True))\n"
    )
    node = on_node(tmp_path, this_python, script, [package("mine")])

    done = node.driver(this_python, "job.py", str(node.private))

    assert done.stdout.strip() == "1 False", done.stderr


@pytest.mark.parametrize("gone", ["trees", "environments"])
def test_a_tree_or_an_environment_that_is_gone_is_made_again(
    tmp_path: Path, this_python: Path, gone: str
) -> None:
    node = on_node(tmp_path, this_python, "import mine; print(mine.X)\n", [package("mine")])
    assert last_json(node.driver(this_python, "job.py")) == 1
    for directory in (node.private / gone).iterdir():
        shutil.rmtree(directory) if directory.is_dir() else None

    assert last_json(node.driver(this_python, "job.py")) == 1


@pytest.mark.slow
def test_what_is_unused_for_longest_goes_and_nothing_that_is_in_use(
    tmp_path: Path, this_python: Path
) -> None:
    size = 300_000
    layers = [make_layer(f"l{n}", {f"l{n}.py": f"X = {n}\n", "data": os.urandom(size)}) for n in range(4)]
    wait = "import sys; print('up', flush=True); sys.stdin.read()\n"
    jobs = [
        on_node(tmp_path / f"job{n}", this_python, wait if n == 0 else "print(1)\n", [layer])
        for n, layer in enumerate(layers)
    ]
    bound = {"RAYBUNDLE_CACHE_BYTES": str(3 * size + 100_000), "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}
    living = subprocess.Popen(
        [this_python, "job.py"],
        cwd=jobs[0].scratch,
        env={**jobs[0].environ, **bound},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert living.stdout
    living.stdout.readline()
    for node in (jobs[1], jobs[2], jobs[1], jobs[3]):
        done = node.run(this_python, "job.py", env=bound)
        assert done.returncode == 0, done.stderr

    there = {path.name[:64] for path in (jobs[0].private / "layers").iterdir()}
    living.communicate()

    assert there == {layers[n].hex for n in (0, 1, 3)}


def test_a_bundle_that_is_larger_than_the_bound_still_runs(tmp_path: Path, this_python: Path) -> None:
    node = on_node(tmp_path, this_python, "import mine; print(mine.X)\n", [package("mine")])

    done = node.run(this_python, "job.py", env={"RAYBUNDLE_CACHE_BYTES": "10"})

    assert last_json(done) == 1


@pytest.mark.slow
def test_the_native_files_of_another_platform_are_refused_before_anything_is_unpacked(
    tmp_path: Path, this_python: Path
) -> None:
    ask = (
        "import json, sysconfig\n"
        "print(json.dumps([sysconfig.get_config_var('SOABI'), sysconfig.get_platform()]))\n"
    )
    abi, platform = json.loads(subprocess.check_output([this_python, "-c", ask]))
    cases = {
        (abi, platform): "",
        (abi.replace("gnu", "musl"), platform): f"expected ABI {abi.replace('gnu', 'musl')}, found {abi}",
        (abi, "macosx-11.0-arm64"): "expected platform macosx-11.0-arm64, found linux-",
    }

    for number, (native, expected) in enumerate(cases.items()):
        files = {"project/job.py": f"print('RAN') # {time.time_ns()}\n"}
        layer = package("mine")
        node = unpack(tmp_path / str(number), files, path=PATH, layers=[layer.entry], native=native)
        done = deliver(node, [layer]).driver(this_python, "job.py")
        assert (done.returncode, done.stdout) == ((78, "") if expected else (0, "RAN\n")), done.stderr
        assert expected in done.stderr
