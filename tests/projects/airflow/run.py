"""Runs DAGs as `dag.test()` does, and prints what became of them: `run.py COMMAND DAG…`."""

import asyncio
import importlib.util
import json
import runpy
import sys
import time
from datetime import datetime, timezone

import pipelines

LOADED = sorted(sys.modules)
"""What a DAG file loads."""

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.xcom import XComModel
from airflow.sdk import DAG
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select

from raybundle.integrations.airflow.trigger import RayBundleTrigger

MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def report(kind, found):
    print("REPORT", json.dumps({"kind": kind, **found}), flush=True)


def test(name):
    run = getattr(pipelines, name).test(logical_date=MOMENT)
    report_run(name, run.run_id)


def report_run(name, run_id):
    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.dag_id == name, DagRun.run_id == run_id)).one()
        tasks = session.scalars(select(TaskInstance).filter_by(dag_id=name, run_id=run_id))
        values = session.scalars(select(XComModel).filter_by(dag_id=name, run_id=run_id))
        found = {
            "dag": name,
            "state": run.state,
            "tasks": {each.task_id: [each.state, each.try_number] for each in tasks},
            "xcom": {f"{each.task_id}.{each.key}": XComModel.deserialize_value(each) for each in values},
        }
    report("run", found)


def retry(name):
    """Runs the next try of a task whose process was killed: the scheduler says so, and tries again."""
    run_again(name, lambda found, session: found.handle_failure("its process is gone", session=session))


def clear(name):
    """Runs the task again after a user has cleared it."""
    run_again(name, lambda found, session: clear_task_instances([found], session))


def run_again(name, prepare):
    from airflow.sdk.definitions.dag import _run_task
    from airflow.serialization.serialized_objects import create_scheduler_operator

    task = getattr(pipelines, name).get_task("train")
    with create_session() as session:
        run = session.scalars(select(DagRun).where(DagRun.dag_id == name)).one()
        found = run.get_task_instance("train", session=session)
        found.refresh_from_task(create_scheduler_operator(task))
        prepare(found, session)
    with create_session() as session:
        found = session.scalars(select(TaskInstance).filter_by(dag_id=name, task_id="train")).one()
        assert found.state in {None, TaskInstanceState.UP_FOR_RETRY}, found.state
        found.try_number, found.state = found.try_number + 1, TaskInstanceState.SCHEDULED
        session.commit()
        _run_task(ti=found, task=task, run_triggerer=True)
    report_run(name, run.run_id)


def mark(job):
    """Cancels a trigger as the triggerer does when its task is marked."""
    asyncio.run(marked(job))


async def marked(job):
    from airflow.jobs.triggerer_job_runner import TriggerRunner

    runner = TriggerRunner()
    trigger = RayBundleTrigger(job, "raybundle_default", poll_interval=3600)
    task = asyncio.create_task(runner.run_trigger(1, trigger))
    runner.triggers[1] = {"task": task, "name": "train", "events": 0}
    await asyncio.sleep(1)
    cancelled = time.time()
    runner.to_cancel.append(1)
    await runner.cancel_triggers()
    await asyncio.wait([task])
    report("marked", {"cancelled": cancelled, "over": time.time(), "was cancelled": task.cancelled()})


def facts():
    """What Airflow knows of the provider, and makes of the template in the DAGs folder."""
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    template = runpy.run_path("train_on_ray.py")
    (dag,) = [each for each in template.values() if isinstance(each, DAG)] or [template["train"].dag]
    heavy = ("ray", "boto3", "obstore", "raybundle.api", "raybundle.cluster", "raybundle.resolve")
    report(
        "facts",
        {
            "listed": "raybundle" in manager.providers,
            "hook": manager.hooks["raybundle"].hook_name,
            "fields": [name for name in manager.connection_form_widgets if "raybundle" in name],
            "tasks": sorted(dag.task_ids),
            "loaded": [name for name in heavy if name in LOADED],
            "has_ray": importlib.util.find_spec("ray") is not None,
        },
    )


if __name__ == "__main__":
    for word in sys.argv[1:]:
        command, _, name = word.partition(":")
        globals()[command](*filter(None, [name]))
