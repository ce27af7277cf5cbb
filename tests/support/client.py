"""A user whose environment differs from the nodes': installed distributions, wheels, and no network."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache
from raybundle.model import Distribution
from raybundle.resolve.interpreter.node_python import as_on_nodes, find_node_python
from raybundle.wheels.retarget import retarget
from tests.support.graphs import INTERPRETER, graph
from tests.support.wheels import install_wheel, make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from raybundle.model import Resolution
    from raybundle.resolve.interpreter.node_python import NodePython


@dataclass(frozen=True, slots=True)
class Client:
    """A pretended CPython 3.11.7 on Linux. uv sees only the wheels in `links`."""

    directory: Path

    @property
    def site(self) -> Path:
        """The site-packages directory."""
        return self.directory / "site"

    @property
    def links(self) -> Path:
        """The directory of the wheels that uv finds."""
        return self.directory / "links"

    @property
    def project(self) -> Path:
        """The project; it may have a lock."""
        return self.directory / "project"

    @property
    def environ(self) -> dict[str, str]:
        """Variables that keep uv offline."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        own = {"UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(self.links)}
        return {**kept, **own, "UV_CACHE_DIR": str(self.directory / "uv")}

    def install(
        self,
        name: str,
        tag: str = "py3-none-any",
        *,
        requires: Sequence[str] = (),
        files: Mapping[str, bytes] | None = None,
    ) -> Distribution:
        """Installs a distribution. If `tag` is for all platforms, uv finds its wheel too."""
        wheel = make_wheel(
            self.links if tag == "py3-none-any" else self.directory, name, tag, requires=requires, files=files
        )
        project, _, version = name.partition("-")
        return Distribution(project, version, "bundle", 1, metadata=install_wheel(self.site, wheel))

    def retargeted(
        self,
        *distributions: Distribution,
        python: str | None = None,
        platform: str | None = None,
        editable: tuple[tuple[str, str], ...] = (),
        environ: Mapping[str, str] | None = None,
        cluster: NodePython | None = None,
        executable: str = sys.executable,
    ) -> Resolution:
        """Returns the equipped resolution of a job that needs these. Empty variables count as unset."""
        self.project.mkdir(exist_ok=True)
        here = replace(INTERPRETER, executable=executable, site=(str(self.site),), projects=editable)
        tag = find_node_python(python, platform, here, cluster)
        resolution = graph(
            project=self.project,
            interpreter=here if tag is None else as_on_nodes(here, tag),
            distributions=distributions,
        )
        variables = {name: value for name, value in {**self.environ, **(environ or {})}.items() if value}
        return retarget(resolution, tag, variables, Cache(self.directory / "cache"))


def versions(resolution: Resolution) -> dict[str, str]:
    """Returns the versions of the distributions that travel, by name."""
    return {each.name: each.version for each in resolution.distributions if each.provided_by == "bundle"}
