"""Deploys a configuration of Ray Serve, and follows its applications until they run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.cluster.outcome import brief, deployment_error
from raybundle.cluster.serve import bundle_of
from raybundle.errors import ClusterError, JobLostError, JobStoppedError, JobTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from raybundle.cluster.serve import Application, ServeClient
    from raybundle.errors import JobError
    from raybundle.pipeline.serving.building import ServeConfig

PATIENCE = 600.0
"""Seconds for which the cluster is asked again while it does not answer."""
FIRST_DELAY, LONGEST_DELAY, DELAY_SHARE = 0.2, 2.0, 0.1
"""Seconds between two questions: they grow with the time that has passed."""
KEPT = ("import_path", "runtime_env")
"""Keys of an application whose values Serve keeps: it writes others anew, such as `log_level: 10`."""
STATUS = "`raybundle serve status` shows it"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What became of a deployed application."""

    name: str
    bundle: str | None
    changed: bool
    """Serve had to deploy it; else it left the application alone."""
    application: Application | None = None
    """What Serve says about it; None if it was not waited for."""
    error: JobError | None = None
    """Why it does not run."""


def deploy(
    config: ServeConfig, client: ServeClient, notify: Callable[[str], None], *, timeout: float | None = None
) -> tuple[Deployed, ...]:
    """Returns what became of each application of a configuration, once Serve has settled on it.

    Args:
        config: the configuration.
        client: of the cluster.
        notify: takes what happens, a line at a time.
        timeout: seconds after which the wait ends; 0 waits for nothing.

    Raises:
        UsageError: Serve refuses the configuration.
        ClusterError: the cluster cannot be reached.
        JobTimeoutError: the time is over; Serve goes on.
    """
    before = client.applications()
    names = {each.get("name", "default") for each in config.applications}
    for name in sorted(set(before) - names):
        if before[name].config:  # that of a job is none of the configuration's business
            notify(f"application {name} is not in the configuration: Serve removes it")
    begun = [_begin(each, before) for each in config.applications]
    client.put(config.document)
    for each in begun:
        notify(f"application {each.name}: {'deploying' if each.changed else 'unchanged'}")
    if timeout == 0:
        return tuple(begun)
    return _Following(client, notify, timeout).follow(begun, config.applications)


def _begin(entry: Mapping[str, Any], before: Mapping[str, Application]) -> Deployed:
    name = entry.get("name", "default")
    known = before.get(name)
    same = known is not None and known.status == "RUNNING" and _same(known, entry)
    return Deployed(name, bundle_of(entry.get("runtime_env") or {}), not same)


def _same(known: Application, entry: Mapping[str, Any]) -> bool:
    """Whether Serve has this configuration of an application. It adds keys, and may write values anew."""
    return all(known.config.get(key) == value for key, value in entry.items() if key != "deployments") and [
        each.get("name") for each in known.config.get("deployments") or ()
    ] == [each.get("name") for each in entry.get("deployments") or ()]


def ending(deployed: tuple[Deployed, ...]) -> JobError | None:
    """Returns the error that decides the exit code; None if every application runs."""
    return next((each.error for each in deployed if each.error is not None), None)


class _Following:
    """Follows applications of one configuration."""

    def __init__(self, client: ServeClient, notify: Callable[[str], None], timeout: float | None) -> None:
        self._client, self._notify = client, notify
        self._begin = time.monotonic()
        self._timeout = timeout
        self._told: dict[str, str] = {}

    def follow(self, begun: list[Deployed], entries: tuple[Mapping[str, Any], ...]) -> tuple[Deployed, ...]:
        """Returns what became of all applications once each runs or has failed."""
        while True:
            found = self._ask()
            now = [
                self._judge(each, found.get(each.name), entry)
                for each, entry in zip(begun, entries, strict=True)
            ]
            if all(each.application is not None or each.error is not None for each in now):
                return tuple(now)
            self._wait([each.name for each in now if each.application is None and each.error is None])

    def _ask(self) -> dict[str, Application]:
        try:
            return self._client.applications(PATIENCE)
        except ClusterError as error:
            raise error.reworded(f"{error}; Serve goes on with the configuration", hint=STATUS) from error

    def _wait(self, open_names: list[str]) -> None:
        passed = time.monotonic() - self._begin
        if self._timeout is not None and passed >= self._timeout:
            states = "; ".join(f"{name}: {self._told.get(name, 'not there yet')}" for name in open_names)
            raise JobTimeoutError(
                f"not all applications run after {self._timeout:g} s (--timeout): {states}",
                hint=f"Serve goes on with the configuration; {STATUS}",
            )
        delay = max(FIRST_DELAY, min(LONGEST_DELAY, passed * DELAY_SHARE))
        left = delay if self._timeout is None else self._timeout - passed
        time.sleep(max(0.0, min(delay, left)))

    def _judge(self, begun: Deployed, found: Application | None, entry: Mapping[str, Any]) -> Deployed:
        """Returns the application with its end, if it has one."""

        def ended(error: JobError | None = None) -> Deployed:
            return Deployed(begun.name, begun.bundle, begun.changed, found, error)

        if found is None or found.status == "DELETING":
            return ended(JobLostError(f"application {begun.name} was removed while it was deployed"))
        self._tell(found)
        if any(found.config.get(key) != entry.get(key) for key in KEPT):
            return ended(
                JobStoppedError(f"application {begun.name} was replaced by another deploy", hint=STATUS)
            )
        match found.status:
            case "RUNNING":
                for name in _outside(found, begun.bundle):
                    self._notify(
                        f"warning: deployment {name} of application {begun.name} runs outside the bundle: "
                        "its runtime_env in the code has a `working_dir`"
                    )
                return ended()
            case "DEPLOY_FAILED" | "UNHEALTHY":
                return ended(deployment_error(begun.name, _said(found)))
            case _:
                return begun

    def _tell(self, found: Application) -> None:
        """Tells how far an application is, if that has changed."""
        replicas = ", ".join(f"{each.name} {each.running}/{each.wanted}" for each in found.deployments)
        text = f"{found.status}{f' ({replicas})' if replicas else ''}"
        if self._told.get(found.name) != text:
            self._told[found.name] = text
            self._notify(f"application {found.name}: {text}")
        for each in found.deployments:
            line = brief(each.message)
            if line and self._told.get(f"{found.name} {each.name}") != line:
                self._told[f"{found.name} {each.name}"] = line
                self._notify(f"deployment {each.name} of application {found.name}: {line}")


def _outside(found: Application, bundle: str | None) -> Iterator[str]:
    """Yields the deployments whose replicas do not run from the bundle."""
    yield from (each.name for each in found.deployments if bundle and bundle_of(each.runtime_env) != bundle)


def _said(found: Application) -> str:
    """Returns all that Serve says about a failure, the deployments first: they have the cause."""
    return "\n".join([found.message, *(each.message for each in found.deployments if each.message)])
