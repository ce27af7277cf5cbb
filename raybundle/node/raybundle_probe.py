"""Runs as a separate job and prints one line per node: its Python, its Ray, whether it reads the store."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from typing import Any

MARK = "RAYBUNDLE-NODE "
"""Prefix of each line. A driver's log may have other lines."""
ANSWER_SECONDS = 15
"""Time for all nodes to answer. The first process on a node takes 1 to 2 s."""
STORE_SECONDS = 8
"""Time for the store to answer. boto3 alone would wait for minutes."""
LONGEST = 300
"""Maximum length of a reason, in characters."""


def main(url: str, names: list[str] | None) -> None:
    """Asks each living node.

    Args:
        url: of an object that each node tries to read; empty asks nothing of a store.
        names: distributions whose versions are wanted, if the nodes are to be examined; None describes them.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.init(log_to_driver=False, logging_level=40)
    task = ray.remote(num_cpus=0, max_retries=0)(describe)
    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            here = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked[task.options(scheduling_strategy=here).remote(url, names)] = node
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS)
    for each in answered:
        try:
            facts = ray.get(each)
        except Exception as error:  # noqa: BLE001 - any failure is that node's answer
            facts = {"fault": words_of(error)}
        say(asked[each], facts)
    for each in silent:
        say(asked[each], {"fault": f"no answer in {ANSWER_SECONDS} s"})


def say(node: dict[str, Any], facts: dict[str, Any]) -> None:
    """Prints the facts of one node."""
    address = {"address": node["NodeManagerAddress"], "host": node["NodeManagerHostname"]}
    print(MARK + json.dumps({**address, **facts}), flush=True)


def describe(url: str, names: list[str] | None = None) -> dict[str, Any]:
    """Returns the facts of this node; `store` is None if it reads the store, else the reason why not."""
    found = description(url)
    if names is not None:
        import raybundle_checks  # type: ignore[import-not-found]  # beside this file on the node

        found["checks"] = raybundle_checks.facts(names)
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
