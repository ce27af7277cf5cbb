"""Where a bundle goes decides for which Python and platform it is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.config import cache_directory
from raybundle.errors import BundleError
from raybundle.pipeline import target_interpreter, target_tag
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.interpreter.node_python import NodePython, minor_of
from raybundle.resolve.interpreter.platforms import common_platform, described_platform, platform_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.bundle.values import PythonTag
    from raybundle.model import Interpreter
    from raybundle.pipeline import Request
    from raybundle.submission.deliver import Cluster


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
    return replace(request, cluster=NodePython(implementation, minor, platform))


def require_embedded(request: Request) -> None:
    """Refuses a bundle for another Python than that of the embedded cluster, running or about to be started.

    The platform counts where native files are in: `require_embedded_platform` asks once that is known.

    Raises:
        BundleError: the cluster has another Python than the bundle would be for.
        ClusterError: nobody here has Ray.
    """
    wanted, there = _embedded(request)
    if minor_of(there) != wanted.minor:
        raise _other(wanted, there, _setting(request, "python"))


def require_embedded_platform(request: Request, python: PythonTag) -> None:
    """Refuses a bundle with native files that the embedded cluster could not load.

    Args:
        request: what the bundle was made of.
        python: of its manifest.

    Raises:
        BundleError: the cluster has another platform.
        ClusterError: nobody here has Ray.
    """
    if python.platform is None:
        return
    wanted, there = _embedded(request)
    if not platform_of(there).runs_files_of(wanted.platform):
        raise _other(wanted, there, _setting(request, "platform"))


def _embedded(request: Request) -> tuple[NodePython, Interpreter]:
    """Returns what the bundle is for, and the interpreter of the embedded cluster."""
    from raybundle.cluster.embedded import cluster

    interpreter, tag = target_interpreter(request), target_tag(request)
    executable = cluster.interpreter(interpreter.executable)
    same = executable == interpreter.executable
    wanted = tag or NodePython(interpreter.implementation, minor_of(interpreter), platform_of(interpreter))
    return wanted, interpreter if same else _described(executable, request.environ)


def _setting(request: Request, key: str) -> str:
    """Returns the setting that made another target than the environment at hand; empty if none did."""
    if key not in request.settings.found or target_tag(request) is None:
        return ""
    source = request.settings.found[key].source
    return f"`--{key}`" if source == "flag" else f"`{key}` in {source}"


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
    from raybundle.cluster.embedded import cluster

    executable = cluster.interpreter(chosen or python.minor)
    there = _described(executable, environ)
    platform = (
        described_platform(python.platform, python.abi or "") if python.platform else platform_of(there)
    )
    wanted = NodePython(python.implementation, python.minor, platform)
    if minor_of(there) != wanted.minor or not platform_of(there).runs_files_of(platform):
        raise _other(wanted, there)
    return executable


def _described(executable: str, environ: Mapping[str, str]) -> Interpreter:
    return describe(Path(executable), environ, Path.cwd(), Cache(cache_directory(environ)))


def _other(wanted: NodePython, there: Interpreter, setting: str = "") -> BundleError:
    """Returns the refusal of another interpreter; `setting` asked for one, where any did."""
    found = NodePython(there.implementation, minor_of(there), platform_of(there))
    instead = (
        f"submit without {setting}"
        if setting
        else (
            f"start one whose Python {wanted.minor} has Ray (`raybundle local up --python PATH`, "
            "after `raybundle local down`)"
        )
    )
    return BundleError(
        f"the embedded cluster runs {found} ({there.executable}), and the bundle is for {wanted}",
        hint=f"name a cluster for it with --address, or {instead}",
    )
