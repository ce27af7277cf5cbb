"""A worker whose task or actor brings a bundle into a job without one, as replicas of Ray Serve do."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.node import raybundle_serve
from raybundle.node.scratch.raybundle_reaper import UNKNOWN, find_state
from tests.support.booting import install, last_json, make_interpreter, unpack, with_cache_at
from tests.support.lacking import required_environment

if TYPE_CHECKING:
    from tests.support.booting import Unpacked

HOOK = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"
WORKER = """
import json, os, sys
import ray

hook = os.environ.get("__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR")
if hook:
    sys.modules["raybundle_boot"].ready()
    # As maybe_initialize_job_config of ray/_raylet.pyx does, below the loop of ray._private.worker.
    code = compile("import sys; sys.path.insert(0, '/directory/of/the/driver')", "worker.py", "exec")
    exec(code, {"__name__": "ray._private.worker"})
    sys.path.insert(0, "/of/the/user")
try:
    import in_serve
    found = in_serve.VERSION
except ImportError:
    found = None
print(json.dumps([hook, sys.path[:2], os.getcwd(), found, open("data.txt").read()]))
"""

LOADING = """
import fractions, json, os, sys
from ray import cloudpickle
from ray._common.utils import load_class
from ray._private import function_manager

load_class(os.environ["__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"])()
code = cloudpickle.dumps(fractions.Fraction)
info = {"class_name": "Fraction", "module": os.environ["SENT"], "class": code}
# As FunctionActorManager._load_actor_class_from_gcs does.
about = function_manager.pickle.loads(cloudpickle.dumps(info))
try:
    found = function_manager.pickle.loads(about["class"]).__name__
except RuntimeError as error:
    found = str(error)
hook = os.environ.get("__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR")
print(json.dumps([hook, os.getcwd(), found, getattr(sys.path, "of_a_guest", None)]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose Ray requires a distribution for Serve."""
    python = make_interpreter(tmp_path_factory.mktemp("python") / "env", sys.executable)
    [site] = python.parents[1].glob("lib/python3*/site-packages")
    metadata = site / "ray-2.60.0.dist-info" / "METADATA"
    requires = "Requires-Dist: in-serve; extra == 'serve'\n"
    metadata.write_text(metadata.read_text().rstrip("\n") + f"\n{requires}\n")
    install(site, "in_serve", "1.5")
    return python


def on_node(tmp_path: Path, name: str) -> Unpacked:
    (tmp_path / "cache").mkdir(exist_ok=True)
    files = {"project/job.py": "", "project/data.txt": name}
    return with_cache_at(unpack(tmp_path / name, files), tmp_path / "cache")


def worker(tmp_path: Path, node: Unpacked, python: Path, **env: str) -> list[Any]:
    place = tmp_path / "ray/_private/workers/default_worker.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(WORKER)
    found: list[Any] = last_json(node.run(python, str(place), env={"RAY_JOB_ID": "01000000", **env}))
    return found


def test_a_guest_runs_the_hook_and_keeps_directories_of_the_driver_out_of_its_path(
    tmp_path: Path, python: Path
) -> None:
    node = on_node(tmp_path, "first")

    hook, path, where, _, data = worker(tmp_path, node, python)

    assert hook == "raybundle_boot.ready"
    assert path == ["/of/the/user", f"{node.tree}/project"]
    assert where.startswith(f"{node.private}/jobs/")
    assert data == "first"


def test_guests_of_two_bundles_in_one_job_have_a_scratch_each(tmp_path: Path, python: Path) -> None:
    nodes = [on_node(tmp_path, name) for name in ("first", "second")]

    found = [worker(tmp_path, node, python) for node in nodes]

    assert [each[4] for each in found] == ["first", "second"]
    assert found[0][2] != found[1][2]


def test_a_guest_can_import_what_rays_serve_requires_and_another_worker_cannot(
    tmp_path: Path, python: Path
) -> None:
    node = on_node(tmp_path, "first")

    assert worker(tmp_path, node, python)[3] == "1.5"
    assert worker(tmp_path, node, python, **{HOOK: "raybundle_boot.ready"})[3] is None


@pytest.mark.slow
def test_a_worker_that_may_be_a_supervisor_is_a_guest_unless_ray_makes_it_one(tmp_path: Path) -> None:
    node = on_node(tmp_path, "first")
    supervisor = sent(tmp_path, node, "ray.dashboard.modules.job.job_supervisor")
    guest = sent(tmp_path, node, "job")
    failed = replace(node, environ={**node.environ, "RAYBUNDLE_DIGEST": f"sha256:{'0' * 64}"})
    bare = {name: value for name, value in node.environ.items() if not name.startswith("RAYBUNDLE_")}

    assert supervisor == [None, str(node.scratch), "Fraction", False]
    assert guest[0] is None
    assert guest[1].startswith(f"{node.private}/jobs/")
    assert guest[2:] == ["Fraction", True]
    assert "boot failed" in sent(tmp_path, failed, "job")[2]
    assert "boot failed" in sent(tmp_path, replace(node, environ=bare), "job")[2]


def sent(tmp_path: Path, node: Unpacked, module: str) -> list[Any]:
    """Returns what a worker with the variable of supervisors does with a class of `module`."""
    place = tmp_path / "ray/_private/workers/default_worker.py"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(LOADING)
    env = {"RAY_JOB_ID": "01000000", "RAY_worker_niceness": "0", "SENT": module}
    found: list[Any] = last_json(node.run(Path(sys.executable), str(place), env=env))
    return found


def test_the_scratch_of_guests_goes_when_none_has_used_it_for_a_while(tmp_path: Path, python: Path) -> None:
    node = on_node(tmp_path, "first")
    worker(tmp_path, node, python)

    [file] = (node.private / "jobs").glob("*.job")
    about = dict(line.partition(" ")[::2] for line in file.read_text().splitlines())

    assert not {"job", "submission"} & set(about)
    assert find_state(about) == UNKNOWN


def test_a_worker_with_the_archive_and_without_its_variables_says_what_it_needs(
    tmp_path: Path, python: Path
) -> None:
    node = on_node(tmp_path, "first")
    place = tmp_path / "ray/_private/workers/default_worker.py"
    place.parent.mkdir(parents=True)
    place.write_text(
        "import json, os, sys\n"
        "hook = os.environ['__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR'].rpartition('.')[0]\n"
        "print(json.dumps('raybundle_boot' in sys.modules and hook))\n"
    )
    bare = {name: value for name, value in node.environ.items() if not name.startswith("RAYBUNDLE_")}

    done = replace(node, environ=bare).run(python, str(place))

    assert json.loads(done.stdout) == "raybundle_boot"
    assert "raybundle: boot failed" in done.stderr
    assert "give the task, actor or deployment the whole runtime_env of the bundle" in done.stderr


MERGING = """
import json, sys
from ray import serve
from ray.serve._private import build_app

sys.path.append(sys.argv[1])
import raybundle_serve

raybundle_serve.watch()
own = {"num_cpus": 0.1, "runtime_env": {"env_vars": {"MODE": "own", "RAYBUNDLE_DIGEST": "other"}}}
given = {"MODE": "app", "MORE": "1", "RAYBUNDLE_DIGEST": "d"}
of_application = {"working_dir": "s3://b/a.zip", "env_vars": given}
deployment = serve.deployment(ray_actor_options=own)(lambda: None)
merged = build_app._set_default_runtime_env(deployment, of_application)
print(json.dumps((merged or deployment).ray_actor_options["runtime_env"]["env_vars"]))
"""


@pytest.mark.slow
def test_a_deployments_own_variables_take_precedence_but_for_those_of_the_bundle() -> None:
    environment = required_environment("RAYBUNDLE_TEST_USER_ENV", "Ray Serve")
    command = [f"{environment}/bin/python", "-c", MERGING, str(Path(raybundle_serve.__file__).parent)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert last_json(done) == {"MODE": "own", "MORE": "1", "RAYBUNDLE_DIGEST": "d"}
