"""Writes 200 MB where it starts, on each node that is named, and waits to be killed where it is told so."""

import socket
import sys
import time

import ray

BLOCK = bytes(1_000_000)


def fill():
    with open("big.bin", "wb") as stream:
        for _ in range(200):
            stream.write(BLOCK)
    return socket.gethostname()


wait, *nodes = sys.argv[1:]
ray.init(log_to_driver=False)
task = ray.remote(num_cpus=0)(fill)
print("FILLED", fill(), *ray.get([task.options(resources={node: 1}).remote() for node in nodes]), flush=True)
time.sleep(float(wait))
