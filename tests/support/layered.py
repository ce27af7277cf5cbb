"""A planned bundle with layers of handmade distributions."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from raybundle.bundle.layers.describe_all import describe_layers
from raybundle.bundle.manifest import format_manifest, make_manifest
from raybundle.config import load_settings
from raybundle.formats.canonical import digest_of
from raybundle.model import RootSymbol, ScriptTarget
from raybundle.planning import Plan, plan
from raybundle.request import Request, prepare
from tests.support.small_project import tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from raybundle.model import Distribution


def plan_with(
    work: Path,
    distributions: Sequence[Distribution],
    cache: str = "cache",
    sites: Sequence[Path] = (),
    job: str = "print(1)\n",
) -> Plan:
    """Returns the plan of a small driver that needs `distributions`.

    Args:
        work: directory in which the project is made.
        distributions: of the resolution.
        cache: name of the cache directory. Another name stands for another machine.
        sites: the interpreter's site directories.
        job: the driver.
    """
    project = tree(work / "project", {"job.py": job})
    environ = {"PATH": os.environ["PATH"], "HOME": str(work), "XDG_CACHE_HOME": str(work / cache)}
    settings = load_settings({"python": sys.executable}, environ, project)
    target = ScriptTarget(project / "job.py")
    planned = plan(prepare(Request(target, settings, project, project, environ)))
    resolution = replace(
        planned.resolution,
        distributions=tuple(distributions),
        path=(*planned.resolution.path[:-1], RootSymbol("layers"), planned.resolution.path[-1]),
        interpreter=replace(planned.resolution.interpreter, site=tuple(map(str, sites))),
    )
    layers = describe_layers(distributions, resolution.interpreter, planned.cache)
    manifest = make_manifest(resolution, planned.files, layers)
    data = format_manifest(manifest)
    return replace(
        planned,
        resolution=resolution,
        layers=layers,
        manifest=manifest,
        manifest_bytes=data,
        digest=digest_of(data),
    )
