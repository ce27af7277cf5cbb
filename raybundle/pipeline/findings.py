"""Judges what nodes say of themselves: can they run a bundle, and what is to be done where they cannot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from raybundle.formats.amounts import counted, duration_text, size_text
from raybundle.submission.deliver import MOST_RELAYED, how_to_build_for, runs_on, wanted_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raybundle.bundle.values import LayerEntry, Provided, PythonTag
    from raybundle.submission.survey import NodeDescription

State = Literal["ok", "warning", "failed"]

SKEW, MOST_SKEW = 30.0, 600.0
"""Seconds by which a clock may be off; S3 refuses signatures that are 15 minutes off."""
FREE = 1 << 30
"""Bytes that a node should have free in /tmp whatever the bundle needs."""
SPILL = 0.95
"""Part of its disk in use from which Ray refuses to spill objects; ray/_private/ray_constants.py."""
DRIVERS = ((13, 580), (12, 525), (11, 450))
"""Major releases of CUDA with the oldest driver that runs each, by its table of compatibility."""
_CUDA = re.compile(r"\+cu(\d\d)\d$|^nvidia-[a-z-]+-cu(\d\d)$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of one thing."""

    check: str
    where: str
    """A node, or what else was looked at."""
    state: State
    found: str
    remedy: str | None = None
    """The next command to run, or what to change."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a bundle asks of nodes; without one, what any bundle asks."""

    python: PythonTag | None = None
    provided: tuple[Provided, ...] = ()
    layers: tuple[LayerEntry, ...] = ()
    bytes: int = 0
    """Of all its files."""

    @property
    def cuda(self) -> int | None:
        """The major release of CUDA that its layers bring."""
        for layer in self.layers:
            found = _CUDA.search(layer.version) or _CUDA.search(layer.name)
            if found:
                return int(found[1] or found[2])
        return None


@dataclass(frozen=True, slots=True)
class Answered:
    """A node that answered, and when it was asked, in seconds since the epoch."""

    node: NodeDescription
    checks: Mapping[str, Any]
    asked: tuple[float, float]


def judge(answered: Answered, needs: Needs, store: str | None) -> Iterator[Finding]:
    """Yields what is found about a node.

    Args:
        answered: the node.
        needs: of the bundle.
        store: URL of the store, if nodes are to read it.
    """
    yield _python(answered.node, needs)
    if store is not None:
        yield _store(answered.node, needs, store)
    for judged in (_disk, _cache, _clock, _spill):
        yield judged(answered, needs)
    if needs.provided:
        yield _provided(answered, needs.provided)
    if needs.cuda is not None or answered.checks["gpus"] is not None:
        yield _gpus(answered, needs)
    yield _shaped(answered)


def judge_together(nodes: Sequence[NodeDescription]) -> Iterator[Finding]:
    """Yields what is found if nodes are compared with each other."""
    for check, kinds in (
        ("ray", {node.ray for node in nodes}),
        ("python", {f"{node.implementation} {node.minor}" for node in nodes}),
    ):
        if len(kinds) > 1:
            each = [f"{node.name} has {node.ray if check == 'ray' else node.minor}" for node in nodes]
            remedy = f"Ray needs one release of {'itself' if check == 'ray' else 'Python'} on all nodes"
            yield Finding(check, "all nodes", "failed", f"they differ: {'; '.join(each)}", remedy)


def _python(node: NodeDescription, needs: Needs) -> Finding:
    system = f", {node.system}" if node.system else ""
    text = f"{node.implementation} {node.version}, Ray {node.ray}, {node.platform}{system}"
    if needs.python is None or runs_on(node, needs.python):
        return Finding("python", node.name, "ok", text)
    wanted = f"{text}; the bundle is for {wanted_text(needs.python)}"
    return Finding("python", node.name, "failed", wanted, how_to_build_for(node, needs.python))


def _store(node: NodeDescription, needs: Needs, url: str) -> Finding:
    if node.store is None:
        return Finding("store", node.name, "ok", f"reads {url}")
    state: State = "failed" if needs.bytes > MOST_RELAYED else "warning"
    relayed = "too large to be relayed" if state == "failed" else "bundles are relayed through the head"
    remedy = "install boto3 and smart_open there, and give the raylet credentials (and AWS_ENDPOINT_URL)"
    if "RequestTimeTooSkewed" in node.store:
        remedy = "synchronise its clock: S3 refuses signatures of another time"
    return Finding("store", node.name, state, f"cannot read {url}: {node.store}; {relayed}", remedy)


def _disk(answered: Answered, needs: Needs) -> Finding:
    node, wanted = answered.node, max(FREE, 2 * needs.bytes)
    text = f"{size_text(node.free)} free in /tmp"
    if node.free < wanted:
        cache = answered.checks["cache"]["path"]
        remedy = f"free {size_text(wanted - node.free)} there; raybundle's cache is {cache}"
        return Finding("disk", node.name, "failed", f"{text}, {size_text(wanted)} wanted", remedy)
    if not answered.checks["tmp_runs"]:
        remedy = "mount /tmp without noexec: native modules are loaded from the cache there"
        return Finding("disk", node.name, "failed", f"{text}, but /tmp runs no programs (noexec)", remedy)
    return Finding("disk", node.name, "ok", text)


def _cache(answered: Answered, _needs: Needs) -> Finding:
    cache, name = answered.checks["cache"], answered.node.name
    if cache["fault"]:
        fault = f"{cache['path']}: {cache['fault']}"
        return Finding("cache", name, "failed", fault, f"remove {cache['path']} there")
    held = f"{counted(cache['trees'], 'bundle')}, {counted(cache['layers'], 'layer')}"
    return Finding("cache", name, "ok", f"{held} in {cache['path']}")


def _clock(answered: Answered, _needs: Needs) -> Finding:
    begin, end = answered.asked
    skew = max(0.0, begin - answered.checks["time"], answered.checks["time"] - end)
    if skew <= SKEW:
        return Finding("clock", answered.node.name, "ok", "agrees with this machine")
    state: State = "failed" if skew > MOST_SKEW else "warning"
    text = f"is {duration_text(skew)} off this machine's"
    remedy = "synchronise it: S3 refuses signatures of another time"
    return Finding("clock", answered.node.name, state, text, remedy)


def _spill(answered: Answered, _needs: Needs) -> Finding:
    spill, name = answered.checks["spill"], answered.node.name
    part = spill["used"] / spill["total"] if spill["total"] else 0.0
    text = f"{spill['path']} is {part:.0%} full"
    if part < SPILL:
        return Finding("spilling", name, "ok", text)
    return Finding("spilling", name, "failed", f"{text}: Ray spills no objects", "free space there")


def _provided(answered: Answered, provided: Sequence[Provided]) -> Finding:
    versions, name = answered.checks["versions"], answered.node.name
    wrong = [
        f"{each.name} {each.version or '(any)'}: {versions.get(each.name) or 'not installed'}"
        for each in provided
        if versions.get(each.name) is None or (each.version and versions[each.name] != each.version)
    ]
    if not wrong:
        text = f"{counted(len(provided), 'distribution')} as the bundle wants"
        return Finding("provided", name, "ok", text)
    install = " ".join(f"{each.name}=={each.version}" if each.version else each.name for each in provided)
    remedy = f"`pip install {install}` there, or take them out of `cluster-provides`"
    return Finding("provided", name, "failed", "; ".join(wrong), remedy)


def _gpus(answered: Answered, needs: Needs) -> Finding:
    gpus, name, cuda = answered.checks["gpus"], answered.node.name, needs.cuda
    if gpus is None:
        return Finding("gpu", name, "ok", f"none: CUDA {cuda} of the bundle has nothing to run on")
    if gpus["fault"]:
        return Finding("gpu", name, "warning", gpus["fault"], "run `nvidia-smi` there")
    kinds = ", ".join(sorted(set(gpus["names"])))
    text = f"{counted(len(gpus['names']), 'GPU')} ({kinds}), driver {gpus['driver']}"
    oldest = dict(DRIVERS).get(cuda or 0)
    major = int(gpus["driver"].partition(".")[0] or 0) if gpus["driver"][:1].isdigit() else 0
    if oldest is None or major >= oldest:
        return Finding("gpu", name, "ok", text)
    remedy = f"install driver {oldest} or later there, or bundle a build for an older CUDA"
    return Finding("gpu", name, "failed", f"{text}; CUDA {cuda} needs {oldest} or later", remedy)


def _shaped(answered: Answered) -> Finding:
    """Names what shapes imports on a node; a bundle's path is its own, a plain job's is not."""
    checks = answered.checks
    shaping = [f"{name}={value}" for name, value in checks["variables"].items() if name in _SHAPING]
    shaping += [*checks["site"], *checks["pth"]]
    if not shaping:
        return Finding("path", answered.node.name, "ok", "nothing of the node changes imports")
    more = len(shaping) - _LISTED
    text = f"the boot sets aside {', '.join(shaping[:_LISTED])}"
    text += f" and {more} more; `raybundle path` lists them" if more > 0 else ""
    return Finding("path", answered.node.name, "ok", text)


_LISTED = 3
"""Things that change imports, at most, in one finding."""
_SHAPING = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONUSERBASE", "PYTHONNOUSERSITE")
