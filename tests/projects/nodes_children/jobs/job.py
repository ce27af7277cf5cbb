"""Every kind of Python process that a job starts, and what its path is."""

import importlib
import json
import multiprocessing
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "shared"))

import helper
import ray
import shared_mod

PRINT_PATH = "import helper, json, sys; print(json.dumps([sys.path, helper.__file__]))"
FOREIGN = ("boto3", "smart_open_absent", "pip", "setuptools")


def children():
    run = {"capture_output": True, "text": True, "check": True}
    found = {
        "-c": json.loads(subprocess.run([sys.executable, "-c", PRINT_PATH], **run).stdout),
        "python": json.loads(subprocess.run(["python", "-c", PRINT_PATH], **run).stdout),
        "script": json.loads(subprocess.run(["python", "tools/tool.py"], **run).stdout),
    }
    for method in ("spawn", "fork", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            found[method] = pool.map(helper.path_of_child, [None])[0]
    return found


@ray.remote
class Worker:
    def look(self):
        return {"path": list(sys.path), "children": children()}


def importable(names):
    found = []
    for name in names:
        try:
            importlib.import_module(name)  # raybundle: ignore
            found.append(name)
        except ModuleNotFoundError:
            pass
    return found


if __name__ == "__main__":
    worker = ray.get(Worker.remote().look.remote())
    foreign = importable(FOREIGN) + ray.get(ray.remote(importable).remote(FOREIGN))
    seen = {"path": list(sys.path), "children": children(), "worker": worker, "foreign": foreign}
    print("REPORT " + json.dumps(seen), flush=True)
