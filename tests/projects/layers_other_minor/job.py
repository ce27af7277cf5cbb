"""Prints what a node has of a distribution in plain Python and of one in C."""

import json
import sys
from importlib.metadata import version

import humanize
import markupsafe._speedups
import ray


def here():
    humanize.naturalsize(10**6)
    return {
        "python": list(sys.version_info[:2]),
        "native": markupsafe._speedups.__file__,
        "versions": {name: version(name) for name in ("humanize", "markupsafe")},
    }


if __name__ == "__main__":
    ray.init(log_to_driver=False)
    print("REPORT " + json.dumps(ray.get(ray.remote(num_cpus=0, resources={"n1": 1})(here).remote())))
