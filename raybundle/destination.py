"""Where a bundle goes decides for which Python and platform it is made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from raybundle.environment.platforms import common_platform
from raybundle.environment.target import TargetTag

if TYPE_CHECKING:
    from raybundle.delivery import Cluster
    from raybundle.pipeline import Request


def for_nodes(request: Request, cluster: Cluster) -> Request:
    """Returns the request for the Python and platform that all nodes of a cluster have, if one looks at them.

    Of several glibcs, or versions of macOS, the oldest counts. What the settings say counts before that;
    nodes that differ otherwise are refused when the bundle is delivered.
    """
    settings = request.settings
    if cluster.survey is None or (settings.text("python") and settings.text("platform")):
        return request
    found = cluster.survey.result()
    nodes = () if found is None else found.nodes
    kinds = {(node.implementation, node.minor, node.abi) for node in nodes}
    platform = common_platform(node.native for node in nodes)
    if len(kinds) != 1 or platform is None:
        return request
    implementation, minor, _ = kinds.pop()
    return replace(request, cluster=TargetTag(implementation, minor, platform))
