"""What a process sees: its path, where its modules are, and whether the node's own packages show."""

import importlib.util
import os
import sys

import app.core
import appended
import ray
from shared import left, right


def here():
    import late

    assert late.VALUE == app.core.VALUE == appended.VALUE == left.VALUE + right.VALUE
    return {
        "path": list(sys.path),
        "modules": dict(sorted(first_party())),
        "ray": ray.__version__,
        "ray_file": ray.__file__,
        "boto3": importlib.util.find_spec("boto3") is not None,
    }


def first_party():
    for name, module in list(sys.modules.items()):
        places = [getattr(module, "__file__", None) or "", *getattr(module, "__path__", ())]
        if any(place.startswith(os.environ["RAYBUNDLE_TREE"]) for place in places):
            yield name, places
