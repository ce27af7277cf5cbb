"""What a bundle has beyond the limits that its project set, and which imports are responsible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.explain.chains import chains_to
from raybundle.explain.reasons import reasons_of
from raybundle.formats.amounts import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from raybundle.explain.chains import Chain
    from raybundle.explain.reasons import Reason
    from raybundle.model import Distribution, Resolution

NAMED = 5
"""The largest that a line names."""


def overruns(
    resolution: Resolution, size: int, files: Mapping[str, int], limits: tuple[int | None, int | None]
) -> Iterator[str]:
    """Yields a line for each limit that a bundle exceeds.

    Args:
        resolution: of the bundle.
        size: of all its files, in bytes.
        files: sizes of the project's files by path in the bundle.
        limits: bytes, and number of distributions that travel; None sets no limit.
    """
    most_bytes, most_distributions = limits
    travel = [each for each in resolution.distributions if each.provided_by == "bundle"]
    reasons = reasons_of(resolution)
    if most_bytes is not None and size > most_bytes:
        parts = [(each.bytes, _distribution(each, reasons[each.name])) for each in travel]
        parts += [(length, path) for path, length in files.items()]
        largest = sorted(parts, reverse=True)[:NAMED]
        named = "".join(f"\n  {size_text(length)} {what}" for length, what in largest)
        yield f"the bundle has {size_text(size)}, and `max-bytes` allows {size_text(most_bytes)}:{named}"
    if most_distributions is not None and len(travel) > most_distributions:
        first = [each for each in travel if reasons[each.name].file is not None][:NAMED]
        named = "".join(f"\n  {_distribution(each, reasons[each.name])}" for each in first)
        how_many = "1 distribution travels" if len(travel) == 1 else f"{len(travel)} distributions travel"
        yield f"{how_many}, and `max-distributions` allows {most_distributions}:{named}"


def forbidden(resolution: Resolution, names: Sequence[str]) -> Iterator[str]:
    """Yields a line for each module or distribution in the bundle that `forbid` names, with its chain."""
    owned = {each.name: each for each in resolution.distributions}
    known = {str(edge.imported) for edge in resolution.edges}
    for name in names:
        found = owned.get(name.lower().replace("_", "-").replace(".", "-"))
        if found is not None:
            users = {str(each) for each in found.modules}
            by = "" if users or not found.required_by else f"required by {found.required_by}"
        else:
            users, by = {each for each in known if each == name or each.startswith(f"{name}.")}, ""
        chain = next(iter(chains_to(resolution, users, most=1).values()), ())
        if chain or found is not None:
            yield f"`{name}` is forbidden: {by or _places(chain) or 'a trace or `include` brings it'}"


def _distribution(each: Distribution, reason: Reason) -> str:
    if reason.file is not None:
        return f"{each.name}, imported at {reason.file}:{reason.line}"
    return f"{each.name}, required by {reason.by}" if reason.by else each.name


def _places(chain: Chain) -> str:
    return " > ".join(f"{edge.file}:{edge.line} imports {edge.imported}" for edge in chain)
