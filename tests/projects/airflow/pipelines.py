"""DAGs of the tests."""

import os
from datetime import timedelta

from airflow.sdk import DAG, task

from raybundle.integrations.airflow import RayBundleSensor, RayBundleSubmitOperator

RETRIED = {"retries": 2, "retry_delay": timedelta(seconds=0)}


def submit(first, *more, **options):
    return RayBundleSubmitOperator(task_id="train", target="jobs/train.py", arguments=[first, *more], **options)


@task
def describe(result):
    return f"{result['submission_id']} ended with {result['exit_code']}"


def whole(dag_id, *, deferrable):
    with DAG(dag_id, schedule=None) as dag:
        train = submit("{{ dag.dag_id }}", env={"WHO": "{{ ti.task_id }}"}, deferrable=deferrable)
        seen = RayBundleSensor(
            task_id="seen",
            submission_id="{{ ti.xcom_pull('train', key='submission_id') }}",
            poke_interval=1,
            deferrable=deferrable,
        )
        describe(train.output) >> seen
    return dag


in_worker = whole("in_worker", deferrable=False)
in_triggerer = whole("in_triggerer", deferrable=True)
with DAG("failing", schedule=None) as failing:
    submit("fail", deferrable=True)
with DAG("stopped", schedule=None) as stopped:
    submit("stop", os.environ.get("RAY", ""), deferrable=True, **RETRIED)
with DAG("late", schedule=None) as late:
    submit("wait", "never", deferrable=True, timeout=3, poll_interval=1, **RETRIED)
with DAG("not_found", schedule=None) as not_found:
    RayBundleSubmitOperator(task_id="train", bundle="absent@1", **RETRIED)
with DAG("waiting", schedule=None) as waiting:
    submit("wait", os.environ.get("GATE", ""), deferrable=False, **RETRIED)
with DAG("waiting_in_triggerer", schedule=None) as waiting_in_triggerer:
    submit("wait", os.environ.get("GATE", ""), deferrable=True, **RETRIED)
