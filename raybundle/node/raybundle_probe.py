"""Runs as a separate job and prints what each node is, or what each process of a job imports from."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any

MARK = "RAYBUNDLE-NODE "
"""Prefix of each line. A driver's log may have other lines."""
ALL_SAID = f"{MARK}all"
"""The last line: who asks need not wait until this driver has ended."""
ANSWER_SECONDS = 15
"""Time for all nodes to answer. The first process on a node takes 1 to 2 s."""
ALL_SECONDS = 24
"""Time for all answers together; the client gives the job up 30 s after it began to run."""
_BEGAN = time.monotonic()
_said: set[str] = set()
"""Digests of what processes import from, as far as it was printed."""
STORE_SECONDS = 8
"""Time for the store to answer. boto3 alone would wait for minutes."""
OUTSIDE = "RAYBUNDLE_OUTSIDE"
"""Address of the cluster for a driver that the Jobs API did not start."""
ENDED = "its raylet has ended"
"""What is said of a node that was in the cluster."""
LONGEST = 300
"""Maximum length of a reason, in characters."""


def main(url: str, names: list[str] | None) -> None:
    """Asks each living node.

    Args:
        url: of an object that each node tries to read; empty asks nothing of a store.
        names: distributions whose versions are wanted, if the nodes are to be examined; None describes them.
    """
    import ray

    ray.init(log_to_driver=False, logging_level=40)
    task = ray.remote(num_cpus=0, max_retries=0)(describe)
    answers(lambda here: task.options(scheduling_strategy=here).remote(url, names), {})
    print(ALL_SAID, flush=True)


def answers(ask: Any, label: dict[str, Any]) -> None:
    """Prints what each living node answers, and which do not.

    Args:
        ask: begins the question on the node that it is pinned to.
        label: goes with each line.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            asked[ask(NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))] = node
    patience = seconds_left()
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=patience)
    for each in answered:
        try:
            facts = ray.get(each)
        except Exception as error:  # noqa: BLE001 - any failure is that node's answer
            facts = {"fault": words_of(error)}
        say(asked[each], {**label, **facts})
    for each in silent:
        say(asked[each], {**label, "fault": f"no answer in {patience:.0f} s"})


def seconds_left() -> float:
    """Returns how long the next answer may take."""
    return max(1.0, min(ANSWER_SECONDS, ALL_SECONDS - (time.monotonic() - _BEGAN)))


def watch(sources: dict[str, str], request: dict[str, Any], look: Any, looker: Any) -> None:
    """Prints what each process of this job imports from: the driver, and a task and an actor on each node.

    Args:
        sources: text of the modules that the processes run, by name.
        request: what they are asked (`raybundle_view.view`), and `actors`, `outside`, `words`, `edits`.
        look: function of the main module, so that it travels by value: runs the sources, returns the view.
        looker: class of the main module, for actors.
    """
    outside = os.environ.get(OUTSIDE)
    if request["booted"] and sys.path[0] == "":
        del sys.path[0]  # this driver is started with `-c`, and that of a job is not
    edit_path(request["edits"])
    if not has_ray(request["words"]):
        return
    import ray

    other = begin_outside(request) if request["outside"] and not outside else None
    if outside:
        request = {**request, "root": os.getcwd()}
    ray.init(address=outside, log_to_driver=False, logging_level=40)
    own = ray.get_runtime_context().get_node_id()
    [node] = [each for each in ray.nodes() if each["NodeID"] == own]
    kind = "outside " if outside else ""
    say(node, {"process": f"{kind}driver", **look(sources, request)})
    task = ray.remote(num_cpus=0, max_retries=0)(look)
    label = {"process": f"{kind}task"}
    answers(lambda here: task.options(scheduling_strategy=here).remote(sources, request), label)
    if outside:
        return
    if request["actors"]:
        ask_actors(sources, request, looker)
    say_ended(ray.nodes(), label)
    if other is not None:
        relay(*other, node)
    print(ALL_SAID, flush=True)


def ask_actors(sources: dict[str, str], request: dict[str, Any], looker: Any) -> None:
    """Prints what an actor on each node imports from; actors take over the workers of the tasks."""
    import ray

    actor, kept = ray.remote(num_cpus=0)(looker), []

    def ask(here: Any) -> Any:
        kept.append(actor.options(scheduling_strategy=here).remote())
        return kept[-1].look.remote(sources, request)

    answers(ask, {"process": "actor"})


def has_ray(words: list[str]) -> bool:
    """Whether this interpreter has Ray; if not, says so and starts the driver again with the one that has it.

    The first `python` of a node is often not the one that runs Ray.
    """
    try:
        import ray  # noqa: F401
    except ImportError as error:
        here = {"NodeManagerAddress": "", "NodeManagerHostname": os.uname().nodename}
        say(here, {"process": "driver", "fault": f"{sys.executable}: {words_of(error)}"})
        python = os.environ.get("RAYBUNDLE_PYTHON", "")
        if python and python != sys.executable:
            os.execv(python, [python, *words])  # noqa: S606 - tasks are asked all the same
        return False
    return True


def say_ended(nodes: list[dict[str, Any]], label: dict[str, Any]) -> None:
    """Prints the nodes that were in the cluster, have ended, and did not come back."""
    living = {node["NodeManagerAddress"] for node in nodes if node["Alive"]}
    ended = {node["NodeManagerAddress"]: node for node in nodes if not node["Alive"]}
    for address, node in sorted(ended.items()):
        if address not in living:
            say(node, {**label, "fault": ENDED})


def relay(other: Any, directory: str, node: dict[str, Any]) -> None:
    """Prints what another driver has printed, and removes its directory."""
    patience = seconds_left()
    try:
        said = other.communicate(timeout=patience)[0]
    except subprocess.TimeoutExpired:
        other.kill()
        said = ""
    shutil.rmtree(directory, ignore_errors=True)
    print(said, flush=True)
    if MARK not in said:
        say(node, {"process": "outside driver", "fault": f"no answer in {patience:.0f} s"})


def edit_path(edits: list[list[Any]]) -> None:
    """Does to `sys.path` what the driver does at its start: directories, each first or last."""
    for directory, first in edits:
        if directory not in sys.path:
            sys.path.insert(0 if first else len(sys.path), directory)


def begin_outside(request: dict[str, Any]) -> tuple[Any, str]:
    """Starts the same driver on this node without the Jobs API: with the environment of the raylet.

    Its directory is a copy: nodes that run tasks of this job have the one of this job at the same place.

    Returns:
        The process, and the directory to remove after it.
    """
    import raybundle_view  # type: ignore[import-not-found]  # in `sys.modules`

    environ = {**(raybundle_view.raylet_environ() or {"PATH": os.defpath})}
    environ[OUTSIDE] = os.environ.get("RAY_ADDRESS", "auto")
    words = [sys.executable, *request["words"]]
    directory = tempfile.mkdtemp(prefix="raybundle-outside-")
    shutil.copytree(os.getcwd(), os.path.join(directory, "project"))
    return subprocess.Popen(
        words,
        cwd=os.path.join(directory, "project"),
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ), directory


def say(node: dict[str, Any], facts: dict[str, Any]) -> None:
    """Prints the facts of one node."""
    address = {"address": node["NodeManagerAddress"], "host": node["NodeManagerHostname"]}
    if "path" in facts:  # most nodes of a large cluster say the same
        process = facts.pop("process")
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        facts = {"process": process, "view": digest, **({} if digest in _said else facts)}
        _said.add(digest)
    print(MARK + json.dumps({**address, **facts}), flush=True)


def describe(url: str, names: list[str] | None = None) -> dict[str, Any]:
    """Returns the facts of this node; `store` is None if it reads the store, else the reason why not."""
    found = description(url)
    if names is not None:
        import raybundle_examine  # type: ignore[import-not-found]  # beside this file on the node

        found["checks"] = raybundle_examine.facts(names)
    return found


def description(url: str) -> dict[str, Any]:
    """Returns what every survey asks."""
    import platform
    import shutil
    import sysconfig

    import ray

    return {
        "implementation": sys.implementation.name,
        "version": platform.python_version(),
        "abi": sysconfig.get_config_var("SOABI") or "",
        "platform": sysconfig.get_platform(),
        "machine": os.uname().machine,
        "system": system_release(platform.libc_ver(), platform.mac_ver()[0]),
        "ray": ray.__version__,
        "free": shutil.disk_usage("/tmp").free,
        "store": fault_of_store(url) if url else None,
    }


def system_release(libc: tuple[str, str], macos: str) -> str:
    """Returns the release that native files depend on: `glibc 2.36`, `macOS 14.5`; empty if unknown."""
    if macos.startswith("10.16"):  # any release since 11, for a Python that was built for an older one
        return ""
    return f"macOS {macos}" if macos else " ".join(libc).strip()


def fault_of_store(url: str) -> str | None:
    """Returns why Ray cannot fetch the object `url`; None if it can, or if this Ray cannot be asked."""
    try:
        from ray._private.runtime_env.protocol import Protocol

        download = Protocol(url.partition(":")[0]).download_remote_uri
    except (ImportError, ValueError, AttributeError):
        return None
    faults: list[str] = []

    def fetch() -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="raybundle-probe-") as directory:
                download(source_uri=url, dest_file=os.path.join(directory, "object"))
        except BaseException as error:  # noqa: BLE001 - any failure is the store's answer
            # smart_open's message has the object first and then the reason.
            faults.append(words_of(error).rpartition(" error: ")[2])

    thread = threading.Thread(target=fetch, daemon=True)
    thread.start()
    thread.join(STORE_SECONDS)
    if thread.is_alive():
        faults.append(f"no answer in {STORE_SECONDS} s")
    return f"{credentials_of(url)}{faults[0]}" if faults else None


def credentials_of(url: str) -> str:
    """Returns `no credentials: ` on a node without credentials for an S3 `url`; else an empty string."""
    if not url.startswith("s3:"):
        return ""
    try:
        import boto3

        return "" if boto3.Session().get_credentials() else "no credentials: "
    except Exception:  # noqa: BLE001 - the fault of the store has the reason
        return ""


def words_of(error: BaseException) -> str:
    """Returns the type and the last line of an exception."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"[:LONGEST]


if __name__ == "__main__":
    asked, *listed = sys.argv[1:] or [""]
    main(asked, json.loads(listed[0]) if listed else None)
