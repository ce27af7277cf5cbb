"""Trains on Ray each night, from the bundle that `raybundle build --name train train.py` has stored.

Needs `raybundle[airflow]` and a connection `raybundle_default` of the type "Ray (raybundle)".
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, task

from raybundle.integrations.airflow import RayBundleSubmitOperator


@task
def report(job):
    print(f"{job['bundle']} ran as {job['submission_id']}: {job['url']}")


with DAG(
    "train_on_ray", schedule="0 3 * * *", start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False
):
    train = RayBundleSubmitOperator(
        task_id="train",
        bundle="train",  # change: a name, `train@3`, or a digest
        arguments=["--day", "{{ ds }}"],
        driver_resources={"entrypoint_num_cpus": 1},
        timeout=timedelta(hours=2),
        deferrable=True,
        retries=2,  # a retry follows a job that still runs
    )
    report(train.output)
