"""Runs a function over parts, on one node after the other."""

import socket


def spread(function, parts, local=False):
    if local:
        return [function(part) for part in parts[:1]] + _in_children(function, parts[1:])
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ray.init(log_to_driver=False)
    nodes = sorted(node["NodeID"] for node in ray.nodes() if node["Alive"])
    task = ray.remote(num_cpus=0)(lambda part: (socket.gethostname(), function(part)))
    places = [NodeAffinitySchedulingStrategy(nodes[i % len(nodes)], soft=False) for i in range(len(parts))]
    answers = ray.get(
        [task.options(scheduling_strategy=place).remote(part) for place, part in zip(places, parts)]
    )
    print("NODES", *sorted({host for host, _ in answers}))
    return [value for _, value in answers]


def _in_children(function, parts):
    """A database in memory is one per process."""
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
        return pool.map(function, parts, chunksize=1)
