"""What a process sees: its path, and which files its modules are."""

import hashlib
import importlib
import json
import socket
import sys

import ray

NODES = ("n0", "n1", "n2")


def here(names):
    files = {}
    for name in names:
        module = importlib.import_module(name)  # raybundle: ignore
        with open(module.__file__, "rb") as stream:
            files[name] = [module.__file__, hashlib.sha256(stream.read()).hexdigest()]
    return {"host": socket.gethostname(), "path": list(sys.path), "files": files}


def everywhere(*names):
    task = ray.remote(here)
    nodes = [task.options(resources={node: 1}).remote(names) for node in NODES]
    print("REPORT " + json.dumps({"driver": here(names), "nodes": ray.get(nodes)}), flush=True)
