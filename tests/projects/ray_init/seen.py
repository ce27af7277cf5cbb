"""What a worker sees, and rounds of `ray.init` and `ray.shutdown`."""

import logging
import os
import sys

import iniconfig
import ray

import lib.inner

OURS = ("RAYBUNDLE_DIGEST", "RAYBUNDLE_BOOT")


def seen():
    """The worker's variables, its bundle, its path, its hook, and where it is."""
    boot = sys.modules.get("raybundle_boot")
    return {
        "env": {name: os.environ.get(name) for name in ("LEVEL", "MY_FLAG", "CONFIGURED", "TOKEN", "ADDED")},
        "bundle": [os.environ.get(name) for name in OURS],
        "path": list(sys.path),
        "hook": os.environ.get("__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR", ""),
        "checked": boot is not None and "/trees/" in lib.inner.__file__,
        "layer": iniconfig.__file__,
        "cwd": os.getcwd(),
        "values": open("values.txt").read() if os.path.exists("values.txt") else None,
        "handlers": [type(each.formatter).__name__ for each in logging.getLogger().handlers],
    }


def look(**arguments):
    """Returns what a task and an actor see after `ray.init` with these arguments."""
    ray.init(**arguments)
    try:
        task = ray.remote(seen)
        actor = ray.remote(type("Actor", (), {"seen": lambda self: seen()})).remote()
        return ray.get([task.remote(), actor.seen.remote()])
    finally:
        ray.shutdown()
