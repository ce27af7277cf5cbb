"""The story of `path`: the driver's path here, what the boot will set, and what each process really has."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Cache
from raybundle.config import cache_directory
from raybundle.errors import RaybundleError
from raybundle.pipeline.orders import order_bundle, order_target
from raybundle.pipeline.viewing.asking import Asked, ask_booted, ask_plain
from raybundle.pipeline.viewing.here import edits_of, path_here, path_of_boot, path_of_interpreter
from raybundle.pipeline.viewing.skeleton import sent_files, words_of
from raybundle.pipeline.viewing.values import Entry, Found, PathView, Process, Shape
from raybundle.planning import resolve_as_is, resolve_target
from raybundle.request import prepare
from raybundle.resolve.driver.path import declared_roots
from raybundle.resolve.interpreter.describe import describe, find_interpreter
from raybundle.submission.options import JobOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raybundle.model import Resolution
    from raybundle.pipeline.viewing.asking import Answer
    from raybundle.planning import Listener
    from raybundle.request import Request
    from raybundle.submission.connecting import Connecting
    from raybundle.submission.ray_environment import RayEnvironment

MOST_MODULES = 2000
"""Modules that processes are asked for at most, the first by name: the job's command line has them."""


def view_target(  # noqa: PLR0913 - what the user may ask for
    request: Request,
    environment: RayEnvironment,
    connecting: Connecting,
    listener: Listener,
    only: str | None,
    *,
    strict: bool,
) -> PathView:
    """Returns what processes of a target's bundle import from; it is stored and delivered, as for a job.

    Args:
        request: the target.
        environment: what the options of `ray job submit` ask for.
        connecting: how the cluster is reached.
        listener: hears of progress.
        only: the one module to ask for; None asks for all that first-party code imports.
        strict: warnings are errors.

    Raises:
        RaybundleError: the bundle cannot be made or stored, or cannot run on the cluster.
    """
    options = JobOptions(
        env={**environment.env, **request.settings.table("env")},
        runtime_env=environment.passed,
        cwd=request.start(),
    )
    order = order_target(request, options, connecting, listener, strict=strict)
    resolution = resolve_target(prepare(request))
    asked = replace(_asked(resolution, only), booted=True)
    with closing(order.cluster.client):
        answer = _tried(lambda: ask_booted(order, asked))
    boot = path_of_boot(order.stored.manifest, order.stored.digest)
    return _viewed(answer, path_here(resolution), boot, resolution)


def view_stored(ref: str, connecting: Connecting, listener: Listener, only: str | None) -> PathView:
    """Returns what processes of a bundle of the store import from; it has no path on this machine.

    Raises:
        RaybundleError: the store has no such bundle, or it cannot run on the cluster.
    """
    options = JobOptions(env=connecting.settings.table("env"))
    order = order_bundle(ref, options, connecting, listener)
    manifest = order.stored.manifest
    layers = {each.name: each.version for each in manifest.layers}
    asked = Asked((only,) if only else (), tuple(layers), booted=True)
    with closing(order.cluster.client):
        answer = _tried(lambda: ask_booted(order, asked))
    view = _viewed(answer, (), path_of_boot(manifest, order.stored.digest), None)
    return replace(view, versions=layers)


def view_plain(
    request: Request, environment: RayEnvironment, connecting: Connecting, only: str | None
) -> PathView:
    """Returns what processes import from if plain Ray runs a target from its directory; no user code runs.

    The directory is that of `--working-dir`, else the current one. Files keep their names and lose their
    content, and the driver's own file is replaced.

    Raises:
        RaybundleError: plain Ray cannot run the target, or there is no cluster.
    """
    resolution = resolve_as_is(prepare(request))
    directory = os.path.realpath(request.cwd)
    words, file = words_of(resolution, directory)
    declared = declared_roots(request.project, request.settings.items("roots"))
    asked = replace(
        _asked(resolution, only),
        actors=True,
        outside=True,
        words=words,
        edits=tuple(edits_of(resolution, declared, directory)),
    )
    env = {**environment.env, **request.settings.table("env")}
    with closing(connecting.client()) as client:
        names = sent_files(directory, environment.excludes, request.environ)
        answer = _tried(lambda: ask_plain(client, asked, names, file, env))
    return _viewed(answer, path_here(resolution), (), resolution)


def view_nodes(connecting: Connecting, only: str | None) -> PathView:
    """Returns what processes of any job without a bundle import from on the nodes.

    Raises:
        RaybundleError: there is no cluster.
    """
    asked = Asked((only,) if only else ())
    with closing(connecting.client()) as client:
        answer = _tried(lambda: ask_plain(client, asked, (), asked.words[0], {}))
    settings, environ = connecting.settings, connecting.environ
    executable = find_interpreter(settings.text("python"), Path.cwd(), environ)
    interpreter = describe(executable, environ, Path.cwd(), Cache(cache_directory(environ)))
    return _viewed(answer, path_of_interpreter(interpreter), (), None)


def _asked(resolution: Resolution, only: str | None) -> Asked:
    """Returns what processes are asked: all names that first-party code imports, and all distributions."""
    distributions = tuple(each.name for each in resolution.distributions)
    if only is not None:
        return Asked((only,), distributions)
    names = {str(each.name) for each in resolution.modules if each.kind != "script"}
    # Of distributions only what stands at the top: the rest of a name may be an attribute.
    names |= {name.partition(".")[0] for each in resolution.distributions for name in each.modules}
    names -= {"__main__"}
    return Asked(tuple(sorted(names))[:MOST_MODULES], distributions)


def _tried(ask: Callable[[], Answer]) -> Answer:
    """Returns the answer; a cluster that cannot be asked is the reason why there is none."""
    try:
        return ask()
    except RaybundleError as error:
        return [], str(error)


def _viewed(
    answer: Answer, here: tuple[Entry, ...], boot: tuple[Entry, ...], resolution: Resolution | None
) -> PathView:
    rows, fault = answer
    processes = sorted(map(_process, rows), key=lambda each: (_ORDER.index(each.kind), each.where))
    shaping = {
        (each.where, shape["source"], shape["what"]): Shape(each.where, shape["source"], shape["what"])
        for row, each in ((row, _process(row)) for row in rows)
        for shape in row.get("shaping", ())
    }
    modules = () if resolution is None else resolution.modules
    distributions = () if resolution is None else resolution.distributions
    return PathView(
        plain=not boot,
        here=here,
        boot=boot,
        files={str(each.name): str(each.file) for each in modules if each.file is not None},
        versions={each.name: each.version for each in distributions if each.version},
        processes=tuple(processes),
        shaping=tuple(shaping[key] for key in sorted(shaping)),
        fault=fault if fault or rows else "no process answered",
    )


_ORDER = ("driver", "task", "actor", "outside driver", "outside task")


def _process(row: Mapping[str, Any]) -> Process:
    where = f"{row['host']} ({row['address']})" if row["address"] else row["host"]
    if "fault" in row:
        return Process(row["process"], where, fault=row["fault"])
    return Process(
        row["process"],
        where,
        row["python"],
        tuple(Entry(each["path"], each["origin"]) for each in row["path"]),
        {
            name: Found(seen["file"], seen["entry"], seen["origin"], tuple(seen["others"]))
            for name, seen in row["modules"].items()
        },
        row["versions"],
    )
