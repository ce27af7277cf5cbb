"""The trigger: it waits for the end of a job in Airflow's triggerer, without blocking it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from raybundle.cluster.follow import Watch
from raybundle.cluster.stopping import Limits
from raybundle.errors import ClusterError, ClusterUnreachableError, JobLostError, RaybundleError
from raybundle.integrations.airflow.hook import RayBundleHook
from raybundle.integrations.airflow.outcome import is_final, text_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from raybundle.cluster.jobs import JobInfo, JobsClient

OUTAGE = 300.0
"""Seconds for which the cluster may not answer; a retry of the task follows the job again."""
SERVER_ERROR = 500
"""The first HTTP status by which a server says that the fault is its own."""

_THREADS = ThreadPoolExecutor(16, "raybundle")
"""Where all triggers of the process ask their clusters: one that does not answer delays no other trigger."""


class RayBundleTrigger(BaseTrigger):
    """Fires once, when the job has ended or cannot be watched any longer."""

    def __init__(  # noqa: PLR0913 - what Airflow keeps of a trigger
        self,
        submission_id: str,
        raybundle_conn_id: str | None,
        *,
        poll_interval: float,
        deadline: float | None = None,
        start_deadline: float | None = None,
        owns: bool = True,
    ) -> None:
        """Makes the trigger.

        Args:
            submission_id: of the job.
            raybundle_conn_id: of the connection; None takes raybundle's own configuration.
            poll_interval: the most seconds between two looks.
            deadline: when the job is stopped, in seconds since the epoch; so is `start_deadline`, if the job
                has not started.
            start_deadline: see there.
            owns: the job is stopped with its task. Otherwise the job may also still be submitted.
        """
        super().__init__()
        self.submission_id = submission_id
        self.raybundle_conn_id = raybundle_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.start_deadline = start_deadline
        self.owns = owns
        self._hook = RayBundleHook(raybundle_conn_id)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Returns how another triggerer makes this trigger again."""
        names = ("submission_id", "raybundle_conn_id", "poll_interval", "deadline", "start_deadline", "owns")
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields how the job ended."""
        try:
            await self._connect()
            info, late = await self._watched()
        except RaybundleError as error:
            yield self._event(None, error)
        except asyncio.CancelledError:
            if not hasattr(BaseTrigger, "on_kill") and not await self._is_deferred():  # before Airflow 3.3
                await self.on_kill()
            raise
        else:
            yield self._event(info, late)

    async def on_kill(self) -> None:
        """Stops the job: its task was cleared, or marked as failed or as successful."""
        if not self.owns:
            return
        await self._connect()
        await _in_thread(self._hook.stop, self.submission_id)

    async def _is_deferred(self) -> bool:
        """Whether the task still waits: then only the triggerer ends, and another one takes over."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        ti = self.task_instance
        if ti is None:
            return True
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        found = states.get(ti.run_id, {})
        name = ti.task_id if ti.map_index is None or ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
        return name not in found or found[name] == "deferred"

    async def _connect(self) -> None:
        await sync_to_async(lambda: self._hook.keywords)()

    async def _watched(self) -> tuple[JobInfo, RaybundleError | None]:
        """Returns the job once it has ended, and the limit that it met, if it met one."""
        client = await _in_thread(self._hook.client)
        with closing(client):
            return await self._followed(client)

    async def _followed(self, client: JobsClient) -> tuple[JobInfo, RaybundleError | None]:
        limits = Limits(_left(self.deadline), _left(self.start_deadline))
        watch = Watch(client, self.submission_id, limits, time.monotonic(), longest=self.poll_interval)
        silent_since: float | None = None
        while True:
            try:
                info = await _in_thread(_look, watch)
            except (ClusterError, JobLostError) as error:
                silent_since = silent_since or time.monotonic()
                if not self._may_pass(error, time.monotonic() - silent_since):
                    raise
                await asyncio.sleep(self.poll_interval)
                continue
            if info.ended:
                return info, watch.late_end(info)
            silent_since = None
            await asyncio.sleep(watch.delay())

    def _may_pass(self, error: RaybundleError, silent: float) -> bool:
        """Whether to look again after an error."""
        if isinstance(error, JobLostError):
            return not self.owns
        down = isinstance(error, ClusterUnreachableError) or (
            isinstance(error, ClusterError) and (error.status or 0) >= SERVER_ERROR
        )
        return down and silent < OUTAGE

    def _event(self, info: JobInfo | None, error: RaybundleError | None) -> TriggerEvent:
        return TriggerEvent(
            {
                "submission_id": self.submission_id,
                "status": info and info.status,
                "error": error and text_of(error),
                "final": error is not None and is_final(error),
            }
        )


async def _in_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, function, *arguments)


def _look(watch: Watch) -> JobInfo:
    """Asks the cluster for the job; stops it if it has met a limit."""
    info = watch.client.info(watch.id)
    watch.take(info)
    return info


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.time())
