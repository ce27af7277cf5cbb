"""Spoils what the next worker of this node boots from, and asks workers for a task and an actor all the same."""

import os
import sys
from pathlib import Path

import helper
import ray

scratch, tree = Path(os.environ["RAYBUNDLE_ARCHIVE"]), Path(os.environ["RAYBUNDLE_TREE"])
match sys.argv[1]:
    case "file":
        (tree / "record").unlink()  # so that the tree is made again, from what lies here
        (scratch / "helper.py").write_text("VALUE = 'spoiled'\n")
    case "boot":
        (scratch / "sitecustomize.py").unlink()


@ray.remote
class Actor:
    def value(self):
        return helper.VALUE


def value():
    return helper.VALUE


def show(kind, reference):
    try:
        print("RAN", kind, ray.get(reference), flush=True)
    except Exception as error:
        print("REFUSED", kind, type(error).__name__, flush=True)
        return error


show("actor", Actor.remote().value.remote())
error = show("task", ray.remote(value).remote())
if error:
    raise error
