"""A handmade site-packages directory, and an interpreter with it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Cache
from raybundle.model import Interpreter, Resolution, ScriptTarget
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.graphs import INTERPRETER
from tests.support.small_project import tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class SitePackages:
    """Distributions beside a project in one directory. No code of it ever runs."""

    def __init__(self, work: Path) -> None:
        self.work = work.resolve()
        self.clock = time.time_ns
        """The clock of the cache; `later` makes it keep answers about what was just installed."""
        self.directory = self.work / "python" / "site-packages"
        self.directory.mkdir(parents=True)
        library = self.work / "python" / "std"
        library.mkdir()
        (library / "json.py").touch()

    @property
    def interpreter(self) -> Interpreter:
        library, site = str(self.work / "python" / "std"), str(self.directory)
        return replace(INTERPRETER, path=(library, site), stdlib=(library,), site=(site,))

    def install(
        self, wheel: str, files: Mapping[str, str] | None = None, requires: Sequence[str] = ()
    ) -> Path:
        """Writes `name-version` and its `.dist-info`. By default, it has one module of its name."""
        name = wheel.partition("-")[0]
        files = {f"{name}.py": ""} if files is None else files
        self.write(files)
        metadata = self.directory / f"{wheel}.dist-info"
        metadata.mkdir()
        record = "".join(f"{file},,{len(text)}\n" for file, text in files.items())
        (metadata / "RECORD").write_text(f"{record}{metadata.name}/METADATA,,\n")
        lines = "".join(f"Requires-Dist: {each}\n" for each in requires)
        (metadata / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\n{lines}\nRequires-Dist: of-no-header\n"
        )
        return metadata

    def write(self, files: Mapping[str, str]) -> None:
        """Writes files that no distribution lists."""
        for file, text in files.items():
            (self.directory / file).parent.mkdir(parents=True, exist_ok=True)
            (self.directory / file).write_text(text)

    def resolved(self, job: str, **settings: Any) -> Resolution:
        """Resolves `job`, the source of a driver in a new project."""
        project = tree(self.work / "project", {"job.py": job})
        made = replace(ResolveSettings(), **settings)
        cache = Cache(self.work / "cache", self.clock)
        return resolve(ScriptTarget(project / "job.py"), made, self.interpreter, project, cache)


def travelling(resolution: Resolution) -> set[str]:
    """Returns the names of the distributions that travel."""
    return {each.name for each in resolution.distributions if each.provided_by == "bundle"}
