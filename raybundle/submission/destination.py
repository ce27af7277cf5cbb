"""The cluster that a bundle goes to decides for which Python and platform it is made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.config import RUNNING, cache_directory
from raybundle.errors import BundleError
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.interpreter.node_python import NodePython, minor_of
from raybundle.resolve.interpreter.platforms import common_platform, described_platform, platform_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.bundle.values import PythonTag
    from raybundle.model import Interpreter
    from raybundle.request import Prepared
    from raybundle.resolve.interpreter.platforms import Platform
    from raybundle.submission.deliver import Cluster


def nodes_of(cluster: Cluster) -> NodePython | None:
    """Returns the Python and platform that all nodes of a cluster have; None if they are not surveyed.

    The oldest glibc or macOS counts. If the nodes differ otherwise, it is None, and the delivery refuses
    those that cannot run the bundle.
    """
    found = None if cluster.survey is None else cluster.survey.result()
    nodes = () if found is None else found.nodes
    kinds = {(node.implementation, node.minor, node.abi) for node in nodes}
    platforms = [node.native for node in nodes]
    platform = common_platform(each for each in platforms if each is not None)
    if None in platforms or len(kinds) != 1 or platform is None:
        return None
    implementation, minor, _ = kinds.pop()
    return NodePython(implementation, minor, platform)


@dataclass(frozen=True, slots=True)
class Embedded:
    """The bundle's target and the interpreter of the embedded cluster, running or about to be started."""

    prepared: Prepared
    wanted: NodePython
    there: Interpreter

    def require_python(self) -> None:
        """Refuses a bundle for another version of Python than the cluster's.

        Raises:
            BundleError: the cluster has another Python than the bundle would be for.
        """
        if minor_of(self.there) != self.wanted.minor:
            raise _other(self.wanted, self.there, self._setting("python"))

    def require_platform(self, python: PythonTag) -> None:
        """Refuses a bundle with native files that the cluster could not load.

        Args:
            python: of the bundle's manifest.

        Raises:
            BundleError: the cluster has another platform.
        """
        if python.platform is not None and not platform_of(self.there).runs_files_of(_platform_of(python)):
            wanted = replace(self.wanted, platform=_platform_of(python))
            raise _other(wanted, self.there, self._setting("platform"))

    def _setting(self, key: str) -> str:
        """Returns the setting that chose another target than the environment at hand; empty if none did."""
        found = self.prepared.request.settings.found
        if key not in found or self.prepared.tag is None:
            return ""
        source = found[key].source
        if source == RUNNING:
            return ""
        return f"`--{key}`" if source == "flag" else f"`{key}` in {source}"


def find_embedded(prepared: Prepared) -> Embedded:
    """Returns what the bundle is for, and the interpreter of the embedded cluster.

    Raises:
        ClusterError: no interpreter on this machine has Ray.
    """
    from raybundle.cluster.embedded import cluster

    interpreter = prepared.interpreter
    executable = cluster.interpreter(interpreter.executable)
    same = executable == interpreter.executable
    here = NodePython(interpreter.implementation, minor_of(interpreter), platform_of(interpreter))
    there = interpreter if same else _described(executable, prepared.request.environ)
    return Embedded(prepared, prepared.tag or here, there)


def require_embedded_for(python: PythonTag, chosen: str | None, environ: Mapping[str, str]) -> str:
    """Returns the interpreter that starts the embedded cluster for a bundle of the store.

    Args:
        python: of the bundle.
        chosen: a path or a version, as the setting has it; nothing means the bundle's version.
        environ: of the user.

    Raises:
        BundleError: the embedded cluster has another Python or platform.
        ClusterError: no interpreter on this machine has Ray and that Python.
    """
    from raybundle.cluster.embedded import cluster

    executable = cluster.interpreter(chosen or python.minor)
    there = _described(executable, environ)
    platform = _platform_of(python) if python.platform else platform_of(there)
    wanted = NodePython(python.implementation, python.minor, platform)
    if minor_of(there) != wanted.minor or not platform_of(there).runs_files_of(platform):
        raise _other(wanted, there)
    return executable


def _platform_of(python: PythonTag) -> Platform:
    return described_platform(python.platform or "", python.abi or "", release=python.libc or "")


def _described(executable: str, environ: Mapping[str, str]) -> Interpreter:
    return describe(Path(executable), environ, Path.cwd(), Cache(cache_directory(environ)))


def _other(wanted: NodePython, there: Interpreter, setting: str = "") -> BundleError:
    """Returns the refusal of another interpreter; `setting` is what asked for it, if a setting did."""
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
