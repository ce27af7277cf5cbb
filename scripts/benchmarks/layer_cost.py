"""What dependencies cost that travel as layers: a node's first set-up and first import, and the next submits.

Needs root: the jobs run on one Ray node with its own network and its own /tmp, on the disk, so that a cold
cache is this node's and nobody else's (tests/support/nodes.py). Plain Ray gets the same files of the same
distributions as `py_modules`: one package for each, stored and not deflated, as Ray packs directories itself.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from first_line import EMPTY, IMPORTING, Job, Ran, plain, ran, run, wait
from large_tree import BODY
from measure import median, timed
from user_environment import Environment, make_environment

from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from tests.support.nodes import Nodes, node_environment  # noqa: E402 - found by the line above
from tests.support.s3_server import s3_server  # noqa: E402 - as above

NODE_CACHE = f"/tmp/raybundle-{os.getuid()}"
MODULES = 30
"""Of the project whose one line is edited."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One node, the user's environment and where things are put."""

    nodes: Nodes
    client: JobsClient
    user: Environment
    work: Path
    environ: Mapping[str, str]
    s3: str
    """URL of a store."""
    files: str
    """URL of a store that is a directory."""

    def run(self, job: Job) -> Ran:
        """Returns how long a job took that must succeed."""
        return run(self.client, job)

    def submit(self, store: str, project: Path) -> Ran:
        """Returns the same of the job that `raybundle submit` starts."""
        words = ("submit", "--no-wait", "--python", str(self.user.python), "job.py")
        return ran(self.client, self.raybundle(*words, store=store, cwd=project)["submission_id"])

    def raybundle(self, *words: str, store: str, cwd: Path) -> Any:
        """Returns the document that a command of ours prints."""
        command = [sys.executable, "-m", "raybundle", "--json", "--store", store, *words]
        return json.loads(timed(command, self.environ, cwd).stdout)

    def forget(self) -> None:
        """Makes the node's cache of ours empty; nothing is removed, for the disk would be busy with that."""
        aside = "aside=$(mktemp -d .aside-XXXX) && mv [a-z]* $aside"
        self.nodes.run("n0", ["sh", "-c", f"cd {NODE_CACHE} && {aside}"])


@contextmanager
def bench(work: Path, environ: Mapping[str, str], user: Environment, node_env: Path) -> Iterator[Bench]:
    """Runs a new node whose Ray directory and cache of ours lie on the disk, as on a real one."""
    with ExitStack() as running:
        nodes = running.enter_context(Nodes(1, env=node_env))
        server = running.enter_context(s3_server(nodes.network()))
        for directory in ("/tmp/ray", NODE_CACHE):
            source = work / directory.removeprefix("/tmp/")
            source.mkdir(mode=0o700, parents=True)
            nodes.run("n0", ["sh", "-c", f"mkdir -m 700 {directory} && mount --bind {source} {directory}"])
        address = nodes.start_ray(server.environ)
        client = JobsClient(make_access(address, {}))
        ours = {**environ, **server.environ, "RAYBUNDLE_ADDRESS": address}
        yield Bench(nodes, client, user, work, ours, server.prefix(), f"file://{work}/store")


def measure(
    environ: Mapping[str, str], rounds: int, environment: Path | None, node_env: Path | None
) -> dict[str, Any]:
    if os.geteuid() != 0:
        raise SystemExit("`layers` needs root: it makes a node with a /tmp of its own")
    work = Path(tempfile.mkdtemp(prefix="rb-layers-", dir="/var/tmp"))  # a node does not see /tmp
    try:
        user = make_environment(work / "user", environment, environ)
        _make_project(work / "empty", EMPTY)
        _make_project(work / "project", IMPORTING)
        found = _Rounds()
        for number in range(rounds):
            with bench(work / f"{number}", environ, user, node_env or node_environment()) as made:
                found.add(made, ours_first=number % 2 == 1)
        with bench(work / "submits", environ, user, node_env or node_environment()) as made:
            return {
                "unpacked_mb": round(user.bytes / 1e6),
                "files": user.files,
                "distributions": " ".join(user.requirements),
                **found.figures(),
                **_submits(made, rounds),
            }
    finally:
        shutil.rmtree(work, ignore_errors=True)


# First set-up and first import


@dataclass(slots=True)
class _Rounds:
    """What jobs took, by their kind; each round has a node of its own, on which each kind runs once."""

    found: dict[str, list[Ran]] = field(default_factory=dict)
    loads: list[str] = field(default_factory=list)

    def add(self, made: Bench, *, ours_first: bool) -> None:
        self.loads.append(f"{os.getloadavg()[0]:.1f}")
        self._keep("pip", Ran(0.0, made.user.first_import(made.environ)))
        made.run(_warming(made))
        self._keep("ray_empty", made.run(plain(EMPTY, env_vars={"BENCH": secrets.token_hex(4)})))
        sides = [self._add_ray, self._add_ours]
        for side in reversed(sides) if ours_first else sides:
            side(made)

    def _add_ray(self, made: Bench) -> None:
        self._keep("ray_s3", made.run(_ray_job(made, made.s3)))
        self._keep("ray_file", made.run(_ray_job(made, made.files)))

    def _add_ours(self, made: Bench) -> None:
        project = made.work.parent / "project"
        made.raybundle("build", "--python", str(made.user.python), "job.py", store=made.s3, cwd=project)
        self._keep("ours_empty", made.submit(made.s3, made.work.parent / "empty"))
        made.forget()
        self._keep("ours_s3", made.submit(made.s3, project))
        exported = _exported(made, made.files, project)
        made.forget()
        self._keep("ours_file", made.run(exported))

    def _keep(self, kind: str, once: Ran) -> None:
        self.found.setdefault(kind, []).append(once)

    def figures(self) -> dict[str, Any]:
        loads = {"load_by_round": " ".join(self.loads)}
        return {**_set_up_figures(self.found), **_import_figures(self.found), **loads}


def _warming(made: Bench) -> Job:
    """Returns a job after which Ray has started all it needs, and has loaded what reads S3."""
    store = open_store(f"{made.s3}/warming", made.environ)
    smallest = min(made.user.packages, key=lambda package: package.stat().st_size)
    store.put_new(smallest.name, smallest.read_bytes())
    return plain(EMPTY, py_modules=[store.node_url(smallest.name)])


def _ray_job(made: Bench, url: str) -> Job:
    """Returns a job of plain Ray, whose packages are put unless they are there."""
    store = open_store(f"{url}/packages", made.environ)
    names = []
    for package in made.user.packages:
        if store.size(package.name) is None:
            store.put_new(package.name, package.read_bytes())
        names.append(store.node_url(package.name))
    return plain(IMPORTING, py_modules=names)


def _exported(made: Bench, store: str, project: Path) -> Job:
    """Returns a job of ours whose node reads files of a local store, which `submit` would relay."""
    words = ("build", "--python", str(made.user.python), "job.py")
    digest = made.raybundle(*words, store=store, cwd=project)["bundle"]
    exported = made.raybundle("export", digest, "--format", "runtime-env", store=store, cwd=made.work)
    return Job(exported["runtime_env"], exported["entrypoint"])


def _set_up_figures(found: Mapping[str, Sequence[Ran]]) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for side in ("ray", "ours"):
        figures[f"{side}_empty_s"] = median(ran.first for ran in found[f"{side}_empty"])
    for kind in ("s3", "file"):
        pairs = {side: _less(found[f"{side}_{kind}"], found[f"{side}_empty"]) for side in ("ray", "ours")}
        for side, seconds in pairs.items():
            figures[f"{side}_{kind}_set_up_s"] = median(seconds)
        ratios = [ours / ray for ours, ray in zip(pairs["ours"], pairs["ray"], strict=True)]
        figures[f"{kind}_set_up_ratio"] = median(ratios)
        figures[f"{kind}_set_up_ratios"] = " ".join(f"{ratio:.2f}" for ratio in ratios)
    return figures


def _less(these: Sequence[Ran], empty: Sequence[Ran]) -> list[float]:
    return [ran.first - without.first for ran, without in zip(these, empty, strict=True)]


def _import_figures(found: Mapping[str, Sequence[Ran]]) -> dict[str, Any]:
    """Seconds of the first import on a node just set up, and its ratio to an installed environment."""
    figures = {
        f"{name}_import_s": median(ran.imports for ran in found[name])
        for name in ("pip", "ray_s3", "ours_s3", "ours_file")
    }
    pairs = zip(found["ours_s3"], found["pip"], strict=True)
    return {**figures, "import_ratio": median(ours.imports / pip.imports for ours, pip in pairs)}


# The next submits


def _submits(made: Bench, rounds: int) -> dict[str, Any]:
    """Seconds and bytes of `submit --no-wait`, with nothing changed and with one line edited."""
    project, store = made.work.parent / "project", made.s3
    module = project / "features" / "module_0.py"
    same, edited = [], []
    for number in range(rounds + 1):
        again = _submit(made, store, project)
        with module.open("a") as stream:
            stream.write(f"CHANGED = {number}\n")
        changed = _submit(made, store, project)
        if number > 0:  # the first one uploads everything
            same.append(again)
            edited.append(changed)
    return {
        "same_submit_s": median(took for took, _, _ in same),
        "same_submit_cpu_s": median(cpu for _, cpu, _ in same),
        "same_submit_bytes": max(sent for _, _, sent in same),
        "edited_submit_s": median(took for took, _, _ in edited),
        "edited_submit_cpu_s": median(cpu for _, cpu, _ in edited),
        "edited_submit_bytes": max(sent for _, _, sent in edited),
        "project_zip_bytes": _project_zip(project, made.work),
        "submit_load": round(os.getloadavg()[0], 1),
    }


def _submit(made: Bench, store: str, project: Path) -> tuple[float, float, int]:
    """Returns seconds from the command to the accepted job, seconds of CPU, and bytes sent to the store."""
    words = ["--json", "--store", store, "submit", "--no-wait", "--python", str(made.user.python), "job.py"]
    took = timed([sys.executable, "-m", "raybundle", *words], made.environ, project)
    document = json.loads(took.stdout)
    wait(made.client, document["submission_id"])
    time.sleep(2.0)  # Ray ends the job's workers; young files are no longer distrusted
    return took.wall, took.cpu, document["uploaded_bytes"]


def _make_project(project: Path, job: str) -> None:
    package = project / "features"
    package.mkdir(parents=True)
    (project / "pyproject.toml").write_text('[project]\nname = "bench"\nversion = "1"\n')
    lines = "".join(f"from features import module_{number}\n" for number in range(MODULES))
    (project / "job.py").write_text(f"{job}\n\ndef features():\n" + lines.replace("from", "    from"))
    (package / "__init__.py").write_text("")
    for number in range(MODULES):
        (package / f"module_{number}.py").write_text(f'"""Module {number}."""\n{BODY}')


def _project_zip(project: Path, work: Path) -> int:
    return Path(shutil.make_archive(str(work / "project-zip"), "zip", project)).stat().st_size
