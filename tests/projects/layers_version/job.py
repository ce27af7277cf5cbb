"""Prints which humanize the driver and the nodes import; each node has one of its own installed."""

import json
import socket

import humanize
import ray

NODES = ("n0", "n1", "n2")


def here():
    return {"host": socket.gethostname(), "version": humanize.__version__, "text": humanize.naturalsize(10**6)}


if __name__ == "__main__":
    ray.init(log_to_driver=False)
    task = ray.remote(num_cpus=0)(here)
    nodes = ray.get([task.options(resources={node: 1}).remote() for node in NODES])
    print("REPORT " + json.dumps({"driver": here(), "nodes": nodes}))
