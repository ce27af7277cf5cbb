"""Adds up with an extension in C, and names a season; both distributions are the user's own.

Further words make it stay until told to go on, or start many actors.
"""

import json
import os
import socket
import subprocess
import sys
import time

import ray
import seasons
import tally

NODES = ("n0", "n1", "n2")


def here():
    inode = os.stat(tally.__file__).st_ino
    return {
        "host": socket.gethostname(),
        "sum": tally.add(20, 22),
        "season": seasons.now(),
        "files": [tally.__file__, seasons.__file__],
        "inode": inode,
    }


def in_a_child():
    code = "import seasons, tally; print(tally.add(1, 2), seasons.now())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def on_nodes(function):
    task = ray.remote(num_cpus=0)(function)
    return ray.get([task.options(resources={node: 1}).remote() for node in NODES])


@ray.remote(num_cpus=0, resources={"n1": 1})
class Actor:
    def here(self):
        return here()


def wait_for_word(file):
    print("WAITING", flush=True)
    while not os.path.exists(file):
        time.sleep(0.1)


if __name__ == "__main__":
    ray.init(log_to_driver=False)
    word, *more = *sys.argv[1:], ""
    if word == "actors":
        actors = [Actor.remote() for _ in range(8)]
        print("REPORT " + json.dumps(ray.get([actor.here.remote() for actor in actors])))
    elif word == "stay":
        print("REPORT " + json.dumps({"nodes": on_nodes(here)}), flush=True)
        wait_for_word(more[0])
        # other functions than before: with their own num_cpus they get workers of their own
        actors = [Actor.remote() for _ in range(2)]
        report = {"driver": in_a_child(), "nodes": on_nodes(in_a_child), "actors": ray.get([a.here.remote() for a in actors])}
        print("REPORT " + json.dumps(report))
    else:
        print("REPORT " + json.dumps({"driver": here(), "nodes": on_nodes(here)}))
