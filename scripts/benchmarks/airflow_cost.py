"""CPU that raybundle's operator and decorator add to a DAG file, in an environment with Airflow."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from measure import median

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FILE = """
import json, sys, time
from airflow.sdk import DAG, BaseOperatorLink, BaseSensorOperator, task
from airflow.providers.standard.operators.bash import BashOperator
with DAG("warm", schedule=None):
    BashOperator(task_id="warm", bash_command="true")

    @task.bash
    def decorated():
        return "true"

loaded, began = len(sys.modules), time.process_time()
from raybundle.integrations.airflow import RayBundleSensor, RayBundleSubmitOperator
@task.raybundle
def on_ray(): ...
took = time.process_time() - began
print(json.dumps([took, len(sys.modules) - loaded]))
"""


def measure(work: Path, environ: Mapping[str, str], environment: Path, rounds: int) -> dict[str, Any]:
    command = [str(environment / "bin/python"), "-c", FILE]
    own = {**environ, "AIRFLOW_HOME": str(work / "airflow")}
    runs = [
        json.loads(subprocess.run(command, env=own, check=True, capture_output=True).stdout)
        for _ in range(rounds + 1)
    ][1:]
    return {"import_cpu_ms": median(1000 * took for took, _ in runs), "modules": runs[0][1]}
