"""Greets from one node after the other."""

import socket

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def _greet(part):
    from ratings.greeting import greet

    return socket.gethostname(), greet(part)


def spread(parts):
    nodes = sorted(node["NodeID"] for node in ray.nodes() if node["Alive"])
    task = ray.remote(num_cpus=0)(_greet)
    places = [NodeAffinitySchedulingStrategy(nodes[i % len(nodes)], soft=False) for i in range(len(parts))]
    answers = ray.get(
        [task.options(scheduling_strategy=place).remote(part) for place, part in zip(places, parts)]
    )
    print("NODES", *sorted({host for host, _ in answers}))
    return [value for _, value in answers]
