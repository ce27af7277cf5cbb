import csv
import os
import subprocess
import sys

import ray

ray.init(log_to_driver=False)


@ray.remote
def evaluate():
    return 0.5


with open("results/history.csv", "a", newline="") as stream:
    csv.writer(stream).writerow(["run", ray.get(evaluate.remote())])
print("rows", len(open("results/history.csv").read().splitlines()), flush=True)
os.makedirs("results/plots")
subprocess.run([sys.executable, "scripts/report.py"], check=True)
