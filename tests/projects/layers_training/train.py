"""Trains one model on each node and prints how good they are, and with what they were trained."""

import json
import sys

import ray

from churn import seen
from churn.model import train

NODES = ("n0", "n1", "n2")


def job(seed):
    return {"score": train(seed), "error": seen.error_of_connecting("192.0.2.1"), **seen.here()}


if __name__ == "__main__":
    ray.init(log_to_driver=False)
    task = ray.remote(num_cpus=0)(job)
    parts = [task.options(resources={node: 1}).remote(seed) for seed, node in enumerate(NODES)]
    print("REPORT " + json.dumps({"driver": seen.here(), "nodes": ray.get(parts), "argv": sys.argv[1:]}))
