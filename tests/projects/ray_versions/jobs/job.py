"""Prints the import table of a driver, a task, an actor and a child process."""

import json
import os
import subprocess
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))

import ray
import table


@ray.remote
class Actor:
    def look(self):
        return table.here()


def child():
    command = [sys.executable, "-c", "import json, table; print(json.dumps(table.here()))"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


tables = {
    "driver": table.here(),
    "task": ray.get(ray.remote(table.here).remote()),
    "actor": ray.get(Actor.remote().look.remote()),
    "child": child(),
}
print("REPORT " + json.dumps(tables), flush=True)
