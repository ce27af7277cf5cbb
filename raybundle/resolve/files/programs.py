"""Finds the programs that commands start: console scripts of the project and of installed distributions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import Warning
from raybundle.resolve.distributions.installed import normalised_name
from raybundle.resolve.driver.console_script import DIRECTORY, REFERENCE, wrapper
from raybundle.resolve.files.data_files import Candidate
from raybundle.resolve.find.finder import FirstParty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.files.entry_points import EntryPoints
    from raybundle.resolve.settings import ResolveSettings
    from raybundle.resolve.walk.reached import Closure, Program

_INTERPRETER = b"#!/usr/bin/env python3\n"
"""On a node, the interpreter of the job comes first on PATH."""
_OF_NODES = re.compile(
    r"ray|serve|tune|rllib|python[\d.]*|pypy[\d.]*|pip[\d.]*|uv|uvx|conda|mamba|micromamba"
    r"|git|wget|curl|nvidia-smi|nproc|lscpu|free|ip|ifconfig|ping|ssh|scp|rsync|sudo|apt|apt-get|perl"
    r"|\[|awk|b?a?sh|basename|bzip2|cat|chmod|chown|clear|cmp|comm|cp|cut|date|dd|df|diff|dirname|du|echo|egrep"
    r"|env|expr|false|fgrep|file|find|fmt|fold|getconf|grep|groups|g?unzip|gzip|head|hostname|iconv|id|install"
    r"|join|kill|killall|less|link|ln|locale|logger|ls|lsof|md5sum|mkdir|mkfifo|mktemp|more|mount|mv|nice|nl"
    r"|nohup|od|paste|pgrep|pkill|printenv|printf|ps|pwd|readlink|realpath|renice|rm|rmdir|sed|seq|setsid"
    r"|sha\d+sum|shuf|sleep|sort|split|stat|stty|sync|tail|tar|tee|test|timeout|top|touch|tr|true|truncate|tty"
    r"|type|umask|uname|uniq|unlink|uptime|wait|wc|which|who|whoami|xargs|xz|yes|zcat|zip|cd|export|set|source"
    r"|ulimit|exit|return|read|trap|unset|alias|eval|local|shift|for|case|esac|select|function|declare|typeset"
    r"|readonly|let|shopt|pushd|popd|getopts|break|continue|in|\[\["
)
"""Programs of Ray, of its environment, of its images, of every system, and commands of a shell."""


@dataclass(frozen=True, slots=True)
class Found:
    """A console script: where it comes from, and what it calls."""

    distribution: str
    reference: str
    own: bool
    """Its code is the project's."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs that a job starts.

    Args:
        closure: what the driver reaches.
        entry_points: of what is installed.
        settings: who brings distributions.
    """

    closure: Closure
    entry_points: EntryPoints
    settings: ResolveSettings

    def modules(self) -> list[str]:
        """Returns the modules of the project that its own programs start."""
        if "resource" in self.settings.rules_off:
            return []
        names = (found.reference.partition(":")[0].strip() for _, found in self._found() if found.own)
        return [name for name in names if isinstance(self.entry_points.finder.find(name), FirstParty)]

    def distributions(self) -> set[str]:
        """Returns the installed distributions whose programs are started."""
        return {found.distribution for _, found in self._found() if not found.own}

    def scripts(self, project: Path) -> Iterator[Candidate]:
        """Yields the script of each program that travels; on the nodes, its directory is on PATH."""
        for each, found in self._found():
            parsed = REFERENCE.fullmatch(found.reference)
            if parsed is not None and self._travels(found):
                content = _INTERPRETER + wrapper(*parsed.groups())
                reason = f"program of {found.distribution}"
                yield Candidate(str(project / DIRECTORY / each.name), str(project), reason, content)

    def warnings(self) -> Iterator[Warning]:
        """Yields a warning for each place that starts a program which the nodes may lack."""
        known = {each.name for each, _ in self._found()}
        for each in self.closure.programs:
            settled = each.may_be_absent or normalised_name(each.name) in self.settings.cluster_provides
            if each.name not in known and not settled and not _OF_NODES.fullmatch(each.name):
                hint = f'if the nodes have it, `cluster-provides = ["{each.name}"]` in [tool.raybundle]'
                yield Warning(
                    f"`{each.name}` is a program that the bundle does not have",
                    Path(each.file),
                    each.line,
                    hint,
                )

    def _found(self) -> Iterator[tuple[Program, Found]]:
        for each in self.closure.programs:
            point = None if _OF_NODES.fullmatch(each.name) else self.entry_points.program(each.name)
            if point is not None:
                described, value = point
                name, own = normalised_name(described.installed.name), bool(described.project)
                yield each, Found(name, value, own)

    def _travels(self, found: Found) -> bool:
        brought = (
            self.settings.dependencies == "bundle"
            and found.distribution not in self.settings.cluster_provides
        )
        return found.own or brought
