"""The boot in real interpreters of every supported version, started as Ray and its jobs start them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.booting import (
    PRIVATE,
    find_base,
    install,
    last_json,
    make_interpreter,
    unpack,
    with_cache_at,
)

if TYPE_CHECKING:
    from tests.support.booting import Unpacked

SHOW = "import json, sys; print(json.dumps(sys.path))\n"
IMPORTS = (
    "import json\n"
    "found = []\n"
    "for name in ('ray', 'needed', 'extra_only', 'stray', 'pip', 'helper'):\n"
    "    try: __import__(name); found.append(name)\n"
    "    except ModuleNotFoundError: pass\n"
    "import sys\n"
    "print(json.dumps([found, sys.path, __file__]))\n"
)


def files(script: str, **more: str) -> dict[str, str]:
    """A project whose content no other test has: what a node keeps is by its digest."""
    stamp = f"# {time.time_ns()}\n"
    helper = {"project/helper.py": "X = 1\n" + stamp}
    return {"project/job.py": script + stamp, **helper, **{f"project/{k}": v for k, v in more.items()}}


@pytest.fixture(scope="module", params=["3.10", "3.11", "3.12", "3.13"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter of each supported version, with a `ray` to link to."""
    base = find_base(request.param) or pytest.skip(f"no Python {request.param} here")
    return make_interpreter(tmp_path_factory.mktemp("python") / "env", base)


def version_of(python: Path) -> str:
    [library] = (python.parent.parent / "lib").glob("python3.*")
    return library.name.removeprefix("python")


HOOK = {"__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR": "raybundle_boot.ready"}
"""What a worker of a job with a bundle has."""


def unpacked(tmp_path: Path, python: Path, script: str, **more: str) -> Unpacked:
    return unpack(tmp_path, files(script, **more), python=version_of(python))


def test_a_driver_sees_the_bundle_ray_and_what_ray_requires_and_nothing_else(
    tmp_path: Path, python: Path
) -> None:
    node = unpacked(tmp_path, python, IMPORTS)

    found, path, file = last_json(node.driver(python, f"{node.tree}/project/job.py"))

    assert found == ["ray", "needed", "helper"]
    assert file == f"{node.tree}/project/job.py"
    assert path[0] == f"{node.tree}/project"
    assert path[-2:] == [f"{path[-1]}/ray/thirdparty_files", path[-1]]
    assert not any("-packages" in entry for entry in path)


def test_all_kinds_of_processes_have_the_same_path(tmp_path: Path, python: Path) -> None:
    worker = SHOW.replace("print", "import ray, raybundle_boot; raybundle_boot.ready(); print")
    node = unpacked(tmp_path, python, SHOW, **{"mod.py": SHOW, "worker.py": worker})
    place = tmp_path / "ray" / "_private" / "workers" / "default_worker.py"
    place.parent.mkdir(parents=True)
    shutil.copy(node.scratch / "worker.py", place)

    driver = last_json(node.driver(python, f"{node.tree}/project/job.py"))

    assert last_json(node.driver(python, "-m", "mod")) == driver
    assert last_json(node.run(python, str(place), env=HOOK)) == driver
    assert last_json(node.run(python, "-c", SHOW)) == ["", *driver]


def test_the_job_of_plain_ray_runs_the_verified_copy_of_its_script(tmp_path: Path, python: Path) -> None:
    node = unpacked(tmp_path, python, IMPORTS)
    first = last_json(node.driver(python, "-X", "utf8", "job.py"))
    (node.scratch / "helper.py").write_text("raise SystemExit('from the working directory')\n")
    (node.scratch / "job.py").write_text("raise SystemExit('from the working directory')\n")

    again = last_json(node.driver(python, "-X", "utf8", "job.py"))

    assert again == first
    assert again[2] == f"{node.tree}/project/job.py"


def test_edits_of_the_path_change_what_they_would_and_leave_no_second_places(
    tmp_path: Path, python: Path
) -> None:
    script = (
        "import os, sys\n"
        "before = list(sys.path)\n"
        "sys.path.append(os.path.dirname(os.path.abspath(__file__)))\n"
        "sys.path += [os.getcwd()]\n"
        "assert list(sys.path) == before, sys.path\n"
        "sys.path.insert(0, 'sub')\n"
        "sys.path.insert(0, '/somewhere/else')\n"
        "import inner\n" + SHOW
    )
    node = unpacked(tmp_path, python, script, **{"sub/inner.py": "X = 1\n"})

    path = last_json(node.driver(python, f"{node.tree}/project/job.py"))

    assert path[:3] == ["/somewhere/else", f"{node.tree}/project/sub", f"{node.tree}/project"]


def test_an_entry_that_is_added_and_removed_again_is_there_as_before(tmp_path: Path, python: Path) -> None:
    script = (
        "import os, sys\n"
        "here, before = os.path.dirname(os.path.abspath(__file__)), list(sys.path)\n"
        "sys.path.insert(0, here); sys.path.remove(here)\n"
        "sys.path.append('/x'); assert sys.path.pop() == '/x'\n"
        "sys.path.insert(0, '/y'); del sys.path[0]\n"
        "assert list(sys.path) == before, (before, sys.path)\n"
        "import helper\n" + SHOW
    )
    node = unpacked(tmp_path, python, script)

    assert last_json(node.driver(python, f"{node.tree}/project/job.py"))[0] == f"{node.tree}/project"


def test_what_a_job_puts_on_the_path_of_its_children_stays_there(tmp_path: Path, python: Path) -> None:
    script = (
        "import os, subprocess, sys\n"
        "env = {**os.environ, 'PYTHONPATH': '/gen:' + os.environ['PYTHONPATH']}\n"
        f"print(subprocess.check_output([sys.executable, '-c', {SHOW!r}], env=env, text=True))\n" + SHOW
    )
    node = unpacked(tmp_path, python, script)

    done = node.driver(python, f"{node.tree}/project/job.py")

    child, driver = (json.loads(line) for line in done.stdout.split("\n") if line)
    assert child == ["", "/gen", *driver]


def test_byte_code_is_taken_from_nowhere_but_beside_the_verified_source(tmp_path: Path, python: Path) -> None:
    node = unpacked(tmp_path, python, "import helper; print(repr(helper.__cached__)[1:-1])\n")
    file = f"{node.tree}/project/helper.py"
    node.driver(python, f"{node.tree}/project/job.py")
    poison = (
        "import importlib._bootstrap_external as e, os, sys; sys.pycache_prefix = sys.argv[1]\n"
        "f = sys.argv[2]; s = os.stat(f); c = e.cache_from_source(f); os.makedirs(os.path.dirname(c))\n"
        "code = compile('raise SystemExit(9)', f, 'exec')\n"
        "open(c, 'wb').write(e._code_to_timestamp_pyc(code, int(s.st_mtime), s.st_size))\n"
    )
    subprocess.run([python, "-I", "-c", poison, tmp_path / "prefix", file], check=True)

    done = node.run(
        python,
        f"{node.tree}/project/job.py",
        env={"PYTHONPYCACHEPREFIX": str(tmp_path / "prefix"), "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"},
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{node.tree}/project/__pycache__/helper.")


def test_a_package_named_sitecustomize_does_not_take_the_place_of_the_boot(
    tmp_path: Path, python: Path
) -> None:
    script = "import sys; assert sys.modules['sitecustomize'].OWN; print('1')\n"
    node = unpacked(tmp_path, python, script, **{"sitecustomize/__init__.py": "OWN = True\n"})

    assert last_json(node.driver(python, f"{node.tree}/project/job.py")) == 1


def test_a_users_sitecustomize_that_raises_is_printed_and_the_job_goes_on(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, files("print('RAN')\n", **{"sitecustomize.py": "1 / 0\n"}))

    done = node.driver(python, "job.py")

    assert (done.returncode, done.stdout) == (0, "RAN\n")
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody who may look and not write")
def test_a_job_cannot_write_into_the_verified_tree_by_accident(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, files("import os; open(os.path.dirname(__file__) + '/planted.py', 'w')\n"))

    become = ["--reuid=65534", "--regid=65534", "--clear-groups"]
    become += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]

    done = node.driver(Path("setpriv"), *become, str(python), "job.py")

    assert done.returncode == 1
    assert "PermissionError" in done.stderr
    assert "planted.py" in done.stderr


def test_a_script_with_the_name_of_rays_worker_is_no_worker(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, {"project/default_worker.py": f"print('RAN') # {time.time_ns()}\n"})
    (node.scratch / ".raybundle" / "manifest.json").write_text("{}")

    done = node.driver(python, "default_worker.py")

    assert (done.returncode, done.stdout) == (78, "")


def test_a_sitecustomize_of_the_user_is_chained(tmp_path: Path, python: Path) -> None:
    script = "import sys; assert sys.modules['sitecustomize'].OWN; print('1')\n"
    node = unpacked(tmp_path, python, script, **{"sitecustomize.py": "OWN = True\n"})

    assert last_json(node.driver(python, f"{node.tree}/project/job.py")) == 1


PROGRAM = """\
import json, os, subprocess, sys
import helper
path = [entry for entry in sys.path if "/raybundle" in entry]
below = subprocess.run([os.environ["RAYBUNDLE_PYTHON"], "-c", sys.argv[1]], capture_output=True, text=True)
print(json.dumps([sys.version_info[:2], helper.__file__, path, json.loads(below.stdout)]))
"""
STARTS = """\
import json, subprocess, sys
show, program, *others = sys.argv[1:]
words = ([other, program, show] for other in others)
ran = [subprocess.run(each, capture_output=True, text=True) for each in words]
said = (json.loads(each.stdout) if each.returncode == 0 else each.stderr for each in ran)
print(json.dumps([sys.path, *said]))
"""


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12", "3.13", "3.8"])
def test_a_program_of_the_node_runs_in_its_own_python_as_under_plain_ray(
    tmp_path: Path, python: Path, version: str
) -> None:
    other = find_base(version) or pytest.skip(f"no Python {version} here")
    program = tmp_path / "aws"
    program.write_text(PROGRAM)
    node = unpacked(tmp_path, python, STARTS)

    path, ran = last_json(node.driver(python, "job.py", SHOW, str(program), other))

    assert ran == [
        [*map(int, version.split("."))],
        f"{node.tree}/project/helper.py",
        [f"{node.tree}/project"],
        ["", *path],
    ]


def test_a_program_of_the_node_in_a_line_of_a_shell_runs_and_a_script_of_the_job_is_refused(
    tmp_path: Path, python: Path
) -> None:
    other = find_base("3.10" if version_of(python) == "3.12" else "3.12") or pytest.skip("no other Python")
    program = tmp_path / "aws"
    program.write_text("import helper, sys\nprint(sys.version_info[1])\n")
    node = unpacked(tmp_path, python, SHOW)
    variables = "import json, os; print(json.dumps(dict(os.environ)))"
    supervisor = last_json(node.run(python, "-c", variables))
    line = {**supervisor, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"}

    ran = node.run(Path(other), str(program), env=line)
    refused = [
        node.run(Path(other), script, env=line) for script in ("job.py", f"{node.tree}/project/job.py")
    ]

    assert (ran.returncode, ran.stdout) == (0, f"{10 if version_of(python) == '3.12' else 12}\n"), ran.stderr
    assert [each.returncode for each in refused] == [78, 78]


def test_a_bundle_for_another_python_stops_with_one_line(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, files(SHOW), python="3.9")

    done = node.driver(python, "job.py")

    assert done.returncode == 78
    assert done.stderr.count("\n") == 1
    assert f"bundle {node.digest}" in done.stderr
    assert "expected Python cpython 3.9, found cpython" in done.stderr


@pytest.mark.parametrize(
    ("provided", "expected"),
    [(("stray", "1.5"), None), (("stray", "1.6"), "expected stray 1.6, found stray 1.5"),
     (("absent", "1"), "expected absent 1, found absent none"), (("stray",), None),
     (("absent",), "expected absent in any version, found none")],
)  # fmt: skip
def test_what_the_cluster_provides_is_linked_and_its_version_checked(
    tmp_path: Path, provided: tuple[str, ...], expected: str | None
) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, files("import stray; print(stray.VERSION)\n"), provided=[provided])

    done = node.driver(python, "job.py")

    assert (done.returncode, done.stdout) == ((0, "1.5\n") if expected is None else (78, ""))
    assert (expected or "") in done.stderr


def test_what_the_cluster_provides_has_what_it_requires_on_the_node_and_nothing_else_comes_with_it(
    tmp_path: Path,
) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    [site] = (tmp_path / "env").glob("lib/python3*/site-packages")
    install(site, "given", "2.0", "Requires-Dist: inner; sys_platform == 'linux'\nRequires-Dist: gone\n")
    install(site, "inner", "1.0", "Requires-Dist: inmost>=1\nRequires-Dist: extra-only; extra == 'more'\n")
    install(site, "inmost", "1.0")
    script = IMPORTS.replace("'helper'", "'given', 'inner', 'inmost'")
    node = unpack(tmp_path, files(script), provided=[("given", "2.0")])

    found, _, _ = last_json(node.driver(python, "job.py"))

    assert found == ["ray", "needed", "given", "inner", "inmost"]


@pytest.mark.parametrize("name", ["scikit-given", "sk-given", "sk-single", "sk-native"])
def test_what_only_the_node_has_is_linked_by_its_own_name_or_that_of_its_module(
    tmp_path: Path, name: str
) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    [site] = (tmp_path / "env").glob("lib/python3*/site-packages")
    install(site, "scikit_given", "2.0", "Requires-Dist: inner\n")
    install(site, "inner", "1.0")
    modules = ["sk_given/__init__.py", "sk_single.py", "sk_native.cpython-311-x86_64-linux-gnu.so"]
    for module in modules:
        (site / module).parent.mkdir(exist_ok=True)
        (site / module).touch()
    with (site / "scikit_given-2.0.dist-info/RECORD").open("a") as record:
        record.writelines(f"{module},,\n" for module in modules)
    script = IMPORTS.replace("'helper'", "'sk_given', 'sk_single', 'inner'")
    node = unpack(tmp_path, files(script), provided=[(name,)])

    found, _, _ = last_json(node.driver(python, "job.py"))

    assert found == ["ray", "needed", "sk_given", "sk_single", "inner"]


def test_an_upgrade_on_the_node_is_noticed(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, files("import needed; print(needed.VERSION)\n"))
    [site] = (tmp_path / "env").glob("lib/python3*/site-packages")
    assert node.driver(python, "job.py").stdout == "1.5\n"
    shutil.rmtree(site / "needed")
    (site / "needed").mkdir()
    (site / "needed" / "__init__.py").write_text("VERSION = '1.6'\n")
    (site / "needed-1.5.dist-info").rename(site / "needed-1.6.dist-info")

    assert node.driver(python, "job.py").stdout == "1.6\n"


@pytest.mark.parametrize("damage", ["changed", "removed", "manifest", "boot"])
def test_what_is_damaged_before_it_was_verified_stops_the_driver(tmp_path: Path, damage: str) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, files("print('RAN')\n"))
    file = {
        "manifest": node.scratch / ".raybundle" / "manifest.json",
        "boot": node.scratch / ".raybundle" / "raybundle_links.py",
    }.get(damage, node.scratch / "helper.py")
    file.unlink() if damage == "removed" else file.write_text(file.read_text() + " ")
    boot = PRIVATE / "boot" / node.environ["RAYBUNDLE_BOOT"]
    aside = boot.with_name(f"{boot.name}.aside-{os.getpid()}")
    if damage == "boot" and boot.exists():
        boot.rename(aside)
    try:
        done = node.driver(python, "job.py")
    finally:
        if aside.exists():
            shutil.rmtree(boot, ignore_errors=True)
            aside.rename(boot)

    assert (done.returncode, done.stdout) == (78, ""), done.stderr
    assert done.stderr.startswith(f"raybundle: boot failed: bundle {node.digest}: node ")
    assert "expected" in done.stderr
    assert "found" in done.stderr
    assert not node.tree.exists()


def test_a_warm_boot_loads_nothing_that_costs(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, files(SHOW))
    last_json(node.driver(python, "job.py"))
    loaded = "import sys; print('\\n'.join(sys.modules))"
    bare = {"PATH": os.environ["PATH"]}
    without = subprocess.check_output([python, "-c", loaded], text=True, env=bare)

    with_boot = node.run(python, "-c", loaded).stdout

    boot = {f"raybundle_{name}" for name in ("boot", "path", "scratch", "seen")}
    ours = {"sitecustomize", *boot, "fcntl", "__future__"}
    assert set(with_boot.split()) - set(without.split()) <= ours


@pytest.mark.slow
def test_twenty_processes_on_a_cold_node_make_one_tree(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, files(IMPORTS))

    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda _: node.run(python, f"{node.tree}/project/job.py"), range(20)))

    assert len({last_json(one)[2] for one in done}) == 1
    assert sorted(path.name for path in PRIVATE.glob(f"trees/{node.tree.name}*")) == [
        node.tree.name,
        f"{node.tree.name}.files",
        f"{node.tree.name}.lock",
    ]


@pytest.mark.slow
def test_a_process_killed_while_it_makes_the_tree_leaves_nothing_torn(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    many = {f"data/{number}.txt": "x" * 2000 for number in range(3000)}
    node = unpack(tmp_path, files("print('RAN')\n", **many))
    partial = node.tree.with_name(f"{node.tree.name}.partial")
    process = subprocess.Popen(
        [python, "job.py"],
        cwd=node.scratch,
        env={**node.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"},
        stdout=subprocess.PIPE,
    )
    while not partial.exists():
        assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not node.tree.exists()

    done = node.driver(python, "job.py")

    assert done.stdout == "RAN\n", done.stderr
    assert len(list((node.tree / "project" / "data").iterdir())) == 3000
    assert not partial.exists()


def test_a_cache_that_is_not_private_is_refused(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    node = unpack(tmp_path, files("print('RAN')\n"))
    for file in (node.scratch / "sitecustomize.py", *(node.scratch / ".raybundle").glob("*.py")):
        file.write_text(file.read_text().replace("/tmp/raybundle-", f"{tmp_path}/open-"))
    (tmp_path / f"open-{os.getuid()}").mkdir(mode=0o777)
    (tmp_path / f"open-{os.getuid()}").chmod(0o777)
    environ = {"RAYBUNDLE_BOOT": boot_of(node)}

    done = node.run(python, "job.py", env={**environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"})

    assert (done.returncode, done.stdout) == (78, "")
    assert "expected a directory of user" in done.stderr


def boot_of(node: Unpacked) -> str:
    """The digest of a boot that a test has changed on purpose."""
    from raybundle.bundle.pack import BOOT_FILES, boot_digest  # noqa: PLC0415 - of the changed files

    own = node.scratch / ".raybundle"
    return boot_digest(
        {
            name: (node.scratch if name == BOOT_FILES[0] else own).joinpath(name).read_bytes()
            for name in BOOT_FILES
        }
    )


def test_paths_are_utf_8_on_disk_whatever_the_locale_of_the_process(tmp_path: Path) -> None:
    python = make_interpreter(tmp_path / "env", sys.executable)
    script = (
        "import near, os\n"
        "folder = os.path.dirname(os.fsencode(near.__file__))\n"
        "text = open(folder + b'/\\xc3\\xbc.txt').read()\n"
        "print(os.path.basename(folder), sorted(os.listdir(folder)), text)\n"
    )
    folder = "gr\u00f6\u00dfe"
    more = {f"{folder}/near.py": "", f"{folder}/\u00fc.txt": "text"}
    path = ("project:.", f"project:{folder}", "stdlib", "ray")
    node = with_cache_at(unpack(tmp_path, files(script, **more), path=path), tmp_path)
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    done = node.run(python, "job.py", env={**ascii_only, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"})

    names = [b"__pycache__", b"near.py", "\u00fc.txt".encode()]
    assert done.stdout == f"{folder.encode()!r} {names} text\n", done.stderr
