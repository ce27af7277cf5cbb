"""An Airflow connection to a Ray cluster and a store."""

from __future__ import annotations

import os
from contextlib import closing
from functools import cached_property
from typing import TYPE_CHECKING, Any

from raybundle.integrations.airflow.compat import BaseHook
from raybundle.integrations.airflow.connection import keywords_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from raybundle import Job
    from raybundle.cluster.jobs import JobsClient

_CLUSTER = ("address", "headers", "verify", "client_cert", "client_key", "profile")
"""Keywords of the library that say which cluster, and how it is reached."""


class RayBundleHook(BaseHook):
    """Reaches the cluster and the store of a connection, through raybundle's library."""

    conn_name_attr = "raybundle_conn_id"
    default_conn_name = "raybundle_default"
    conn_type = "raybundle"
    hook_name = "Ray (raybundle)"

    def __init__(
        self, raybundle_conn_id: str | None = default_conn_name, store: str | None = None, **options: Any
    ) -> None:
        """Makes the hook; the connection is read at the first use.

        Args:
            raybundle_conn_id: of the connection. None: raybundle's own configuration says which cluster.
            store: in place of the connection's.
            options: of every hook.
        """
        super().__init__(**options)
        self.raybundle_conn_id = raybundle_conn_id
        self._store = store

    @cached_property
    def keywords(self) -> dict[str, Any]:
        """The keywords of the library for this connection, with credentials: not to be shown."""
        found = (
            {} if self.raybundle_conn_id is None else keywords_of(self.get_connection(self.raybundle_conn_id))
        )
        return found | ({"store": self._store} if self._store else {})

    def client(self) -> JobsClient:
        """Returns a new client of the cluster."""
        from raybundle.api.reading import client_of

        return client_of({**self.keywords, "notify": self._note})

    def attach(self, submission_id: str) -> Job:
        """Returns a job of the cluster."""
        from raybundle import attach

        return attach(submission_id, **{name: self.keywords.get(name) for name in (*_CLUSTER, "store")})

    def run(self, ref: str, arguments: Sequence[str] = (), **options: Any) -> Job:
        """Returns the job of a bundle of the store; arguments as for `raybundle.run`."""
        from raybundle import run

        return run(ref, arguments, **self.keywords, notify=self._note, **options)

    def submit(self, target: str, arguments: Sequence[str] = (), **options: Any) -> Job:
        """Returns the job of a target, whose bundle is built here; arguments as for `raybundle.submit`."""
        from raybundle import submit

        return submit(target, arguments, **{**self.keywords, "notify": self._note, **options})

    def submit_function(
        self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], **options: Any
    ) -> Job:
        """Returns the job of a call; arguments as for `raybundle.submit_function`."""
        from raybundle import submit_function

        return submit_function(function, args, kwargs, **{**self.keywords, "notify": self._note, **options})

    def stop(self, submission_id: str) -> None:
        """Stops a job, waits until it has ended, and logs what became of it."""
        from raybundle.cluster.stopping import stop_and_wait
        from raybundle.errors import JobLostError, RaybundleError

        try:
            with closing(self.client()) as client:
                self._note(f"job {submission_id} is {stop_and_wait(client, submission_id).status}")
        except JobLostError as error:
            self._note(str(error))
        except RaybundleError as error:
            self._note(f"warning: job {submission_id} may still be running: {error}")

    def record_end_of(self, submission_id: str) -> None:
        """Completes the record of a run in the store, if its job has ended and the store has it."""
        from raybundle.api.reading import given_in
        from raybundle.errors import RaybundleError
        from raybundle.publish.bundles import open_configured
        from raybundle.submission.recording.ending import end_attached

        try:
            store = open_configured(given_in(self.keywords).settings(), os.environ)
            with closing(self.client()) as client:
                note = end_attached(store, client, client.info(submission_id))
        except RaybundleError as error:
            note = f"the end of the run is not recorded: {error}"
        if note is not None:
            self._note(f"warning: {note}")

    def test_connection(self) -> tuple[bool, str]:
        """Returns whether the cluster answers, and which Ray it has or why it does not answer."""
        from raybundle.errors import RaybundleError

        try:
            with closing(self.client()) as client:
                return True, f"{client.address} has Ray {'.'.join(map(str, client.version()))}"
        except RaybundleError as error:
            return False, f"{error}. {error.hint}" if error.hint else str(error)

    def _note(self, text: str) -> None:
        (self.log.warning if text.startswith("warning: ") else self.log.info)("%s", text)
