"""Where a bundle goes decides for which Python and platform it is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.config import cache_directory
from raybundle.environment.platforms import common_platform, described_platform, platform_of
from raybundle.environment.target import TargetTag, minor_of
from raybundle.errors import BundleError
from raybundle.graph.interpreter import describe
from raybundle.pipeline import target_interpreter, target_tag

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.bundle.manifest import PythonTag
    from raybundle.delivery import Cluster
    from raybundle.model import Interpreter
    from raybundle.pipeline import Request


def for_nodes(request: Request, cluster: Cluster) -> Request:
    """Returns the request for the Python and platform that all nodes of a cluster have, if one looks at them.

    Of several glibcs, or versions of macOS, the oldest counts. What the settings say counts before that;
    nodes that differ otherwise are refused when the bundle is delivered.
    """
    found = None if cluster.survey is None else cluster.survey.result()
    nodes = () if found is None else found.nodes
    kinds = {(node.implementation, node.minor, node.abi) for node in nodes}
    platforms = [node.native for node in nodes]
    platform = common_platform(each for each in platforms if each is not None)
    if None in platforms or len(kinds) != 1 or platform is None:
        return request
    implementation, minor, _ = kinds.pop()
    return replace(request, cluster=TargetTag(implementation, minor, platform))


def require_embedded(request: Request) -> None:
    """Refuses a bundle that the embedded cluster, running or about to be started, could not run.

    Raises:
        BundleError: it has another Python or platform than the bundle would be for.
        ClusterError: nobody here has Ray.
    """
    from raybundle.cluster import local

    interpreter, tag = target_interpreter(request), target_tag(request)
    executable = local.interpreter(interpreter.executable)
    if tag is None and executable == interpreter.executable:
        return
    wanted = tag or TargetTag(interpreter.implementation, minor_of(interpreter), platform_of(interpreter))
    given = [f"`--{key}`" for key in ("python", "platform") if tag and request.settings.text(key)]
    _require(wanted, _described(executable, request.environ), " and ".join(given))


def require_embedded_for(python: PythonTag, chosen: str | None, environ: Mapping[str, str]) -> str:
    """Returns what the embedded cluster is to be started with for a bundle of the store.

    Args:
        python: of the bundle.
        chosen: a path or a version, as the setting has it; nothing means the bundle's version.
        environ: of the user.

    Raises:
        BundleError: the embedded cluster has another Python or platform.
        ClusterError: nobody here has Ray and that Python.
    """
    from raybundle.cluster import local

    executable = local.interpreter(chosen or python.minor)
    there = _described(executable, environ)
    platform = (
        described_platform(python.platform, python.abi or "") if python.platform else platform_of(there)
    )
    _require(TargetTag(python.implementation, python.minor, platform), there)
    return executable


def _described(executable: str, environ: Mapping[str, str]) -> Interpreter:
    return describe(Path(executable), environ, Path.cwd(), cache_directory(environ))


def _require(wanted: TargetTag, there: Interpreter, settings: str = "") -> None:
    """Refuses another interpreter of the embedded cluster; `settings` asked for one, where any did."""
    found = TargetTag(there.implementation, minor_of(there), platform_of(there))
    if found.minor == wanted.minor and found.platform.runs_files_of(wanted.platform):
        return
    instead = (
        f"submit without {settings}"
        if settings
        else (
            f"start one whose Python {wanted.minor} has Ray (`raybundle local up --python PATH`, "
            "after `raybundle local down`)"
        )
    )
    raise BundleError(
        f"the embedded cluster runs {found} ({there.executable}), and the bundle is for {wanted}",
        hint=f"name a cluster for it with --address, or {instead}",
    )
