"""DAGs of the tests."""

import os
from datetime import timedelta

from airflow.sdk import DAG, task
from jobs import model

from raybundle.integrations.airflow import RayBundleSensor, RayBundleSubmitOperator

RETRIED = {"retries": 2, "retry_delay": timedelta(seconds=0)}


def submit(first, *more, **options):
    return RayBundleSubmitOperator(
        task_id="train", target="jobs/train.py", arguments=[first, *more], **options
    )


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


class Odd(Exception):
    """Airflow finds this class in the DAG file alone."""


@task.raybundle(task_id="train", env={"WHO": "{{ ti.task_id }}"})
def count(words, *, extra, run_id):
    import ray

    @ray.remote
    def length(word):
        return len(word)

    lengths = ray.get([length.remote(each) for each in words])
    print("counted", run_id)
    return {"lengths": lengths, "layers": model.LAYERS + extra, "run": run_id, "who": os.environ["WHO"]}


@task
def words():
    return ["ab", "c"]


@task
def total(found):
    return sum(found["lengths"]) + found["layers"]


def function(dag_id, *, deferrable):
    with DAG(dag_id, schedule=None) as dag:
        total(count.override(deferrable=deferrable)(words(), extra=1))
    return dag


@task.raybundle(task_id="train")
def fall():
    print("before")
    raise Odd("no epochs")


@task.raybundle(task_id="train", **RETRIED)
def returns_a_set():
    return {"names": [{"a"}]}


@task.raybundle(task_id="train", **RETRIED)
def takes_the_task(ti):
    return ti.task_id


@task.raybundle(task_id="train", **RETRIED)
def wait(gate, pid):
    import time

    while not os.path.exists(gate):
        time.sleep(0.1)
    return pid


function_in_worker = function("function_in_worker", deferrable=False)
function_in_triggerer = function("function_in_triggerer", deferrable=True)
with DAG("function_failing", schedule=None) as function_failing:
    fall.override(deferrable=True)()
with DAG("function_of_a_set", schedule=None) as function_of_a_set:
    returns_a_set()
with DAG("function_of_the_task", schedule=None) as function_of_the_task:
    takes_the_task()
with DAG("function_waiting", schedule=None) as function_waiting:
    wait(os.environ.get("GATE", ""), os.getpid())  # another process makes another pickle
