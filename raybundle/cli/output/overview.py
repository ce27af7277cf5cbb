"""Puts a plan into words: a screen of text for people, or tables for a pull request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.cli.output.console import PLACES, alike
from raybundle.cli.output.words import shown, target_text
from raybundle.exhaustive import assert_never
from raybundle.explain.reasons import reasons_of
from raybundle.formats.amounts import counted, size_text
from raybundle.model import ScriptTarget

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from raybundle.explain.left_behind import LeftFolder
    from raybundle.explain.reasons import Reason
    from raybundle.explain.sizes import Guess, Part
    from raybundle.model import DataFile, Distribution, Missing, Resolution, Root, Warning
    from raybundle.planning import Plan

FEW = 12
"""Files to list one by one; for more files, the packages are listed."""

DISTRIBUTIONS = 48
"""Distributions to list one by one."""

ANY = "(any)"
"""The version of a distribution that is not installed here: the nodes decide."""

SHOWN = 5
"""Lines of each kind in the text; markdown has twice as many, `--json` has all."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A plan and its totals."""

    planned: Plan
    roots: tuple[Part, ...]
    packages: tuple[Part, ...]
    widenings: tuple[Guess, ...]
    git_ignored: tuple[Path, ...] | None
    """None if git does not know."""
    left: tuple[LeftFolder, ...] | None = None
    """Files of the project that are not in the bundle; None if git does not know."""


def text_lines(overview: Overview) -> Iterator[str]:
    """Yields the lines of `plan`, the most telling first."""
    planned = overview.planned
    resolution = planned.resolution
    yield f"bundle   {planned.digest}"
    yield f"target   {target_text(resolution.target)}"
    yield f"python   {planned.manifest.python.text}"
    yield f"files    {_files_text(planned)}"
    yield f"path     {'  '.join(resolution.path)}"
    places = {str(root.symbol): _place_text(root) for root in resolution.roots}
    roots = [f"{_part_text(part.root, part)}  {places.get(part.root, '')}" for part in overview.roots]
    yield from _section("roots", roots)
    yield from _content_lines(overview)
    if len(planned.files) > FEW:
        yield from _section(
            "named by path, `# raybundle: ignore` in the line turns it off",
            [_data_line(each, planned) for each in resolution.data if each.is_named],
        )
    if resolution.not_imported is not None:
        yield f"traced   {trace_line(resolution)}"
    yield from _section(
        f"distributions{_travelling_text(resolution)}", _distribution_lines(resolution), 2 * FEW
    )
    for title, unused in (("extras", resolution.optional), ("plugins", resolution.plugins)):
        yield from _section(f"installed {title}, not bundled: `include` adds one", _unused_lines(unused))
    yield from _section(
        "guessed, `# raybundle: ignore` in the line turns it off",
        [_widening_text(each, resolution) for each in overview.widenings],
    )
    yield from _section("optional, not found", _not_found_lines(resolution))
    yield from _section("more than one file", _shadowed_lines(resolution))
    yield from _section("ignored by git, but included", _ignored_lines(overview))
    yield from _section(
        'in the project but not in the bundle: `include` bundles a file, `data = "tracked"` all data',
        _left_lines(overview),
    )
    yield f"`{_why_words(resolution)} NAME` says why something is in; `--json` has everything"


def _section(title: str, lines: Sequence[str], shown: int = SHOWN) -> Iterator[str]:
    if lines:
        yield title if len(lines) == 1 else f"{title} ({len(lines)})"
        yield from (f"  {line}".rstrip() for line in lines[:shown])
        if len(lines) > shown:
            yield f"  and {len(lines) - shown:,} more"


def _files_text(planned: Plan) -> str:
    data = len(planned.resolution.data)
    text = f"{len(planned.files)} ({size_text(planned.bytes)})"
    modules = counted(len(planned.files) - data, "module")
    return f"{text}: {modules} and {counted(data, 'data file')}" if data else text


def _travelling_text(resolution: Resolution) -> str:
    sizes = [each.bytes for each in resolution.distributions if each.provided_by == "bundle"]
    return f", {len(sizes)} of them in the bundle with {size_text(sum(sizes))}" if sizes else ""


def _part_text(name: str, part: Part) -> str:
    data = f", {counted(part.data, 'data file')}" if part.data else ""
    return f"{name:<28} {size_text(part.bytes):>10}  {counted(part.modules, 'module')}{data}"


def _place_text(root: Root) -> str:
    return f"{root.directory}  (from {root.source})" if root.source else str(root.directory)


def _content_lines(overview: Overview) -> Iterator[str]:
    """Yields each file with its reason if there are few, else the top-level packages."""
    resolution = overview.planned.resolution
    if len(overview.planned.files) > FEW:
        yield from _section(
            "packages, largest first",
            [_part_text(part.name or "(no package)", part) for part in overview.packages],
        )
        return
    yield from _section(
        "modules",
        [f"{each.name:<28} {each.path or 'namespace'}  ({each.found_by})" for each in resolution.modules],
        2 * FEW,
    )
    yield from _section("data", [_data_line(each, overview.planned) for each in resolution.data], FEW)


def _data_line(each: DataFile, planned: Plan) -> str:
    size = next(file.size for file in planned.files if file.path == each.path)
    return f"{each.path}  {size_text(size)}  ({each.reason})"


def _distribution_lines(resolution: Resolution) -> list[str]:
    """Returns a line for each distribution, the largest in the bundle first, and one line for Ray's."""
    reasons = reasons_of(resolution)
    of_ray = [each for each in resolution.distributions if each.provided_by == "ray"]
    others = [each for each in resolution.distributions if each.provided_by != "ray"]
    ordered = sorted(others, key=lambda each: (each.provided_by, -each.bytes, each.name))
    lines = [
        f"{f'{each.name} {each.version or ANY}':<28} {_size_of(each):>10}  {each.provided_by:<7}  "
        + reason_text(reasons[each.name], resolution)
        + (f", from {each.origin}" if each.origin else "")
        for each in ordered
    ]
    if of_ray:
        asked = [f"{each.name} {each.version}" for each in of_ray if each.modules]
        required = len(of_ray) - len(asked)
        words = [*asked, *([counted(required, "that they require", "that they require")] if required else [])]
        lines.append(f"with Ray: {', '.join(words)}")
    return lines


def _size_of(each: Distribution) -> str:
    return size_text(each.bytes) if each.version else ""


def reason_text(reason: Reason, resolution: Resolution) -> str:
    """Returns why a distribution is needed."""
    place = f" at {shown(reason.file, resolution)}:{reason.line}" if reason.file else ""
    match reason.why:
        case "imported":
            return f"imported{place}"
        case "traced":
            return f"imported{place} while traced"
        case "declared":
            return f"declared{place or ' in `include`'}"
        case "required":
            return f"required by {reason.by}"
        case "imported-by":
            return f"imported by {reason.module} of {reason.by}"
        case other:
            return assert_never(other)


def _unused_lines(distributions: Iterable[Distribution]) -> list[str]:
    return [
        f"{f'{each.name} {each.version}':<28} {size_text(each.bytes):>10}  for {each.required_by}"
        for each in distributions
    ]


def _widening_text(each: Guess, resolution: Resolution) -> str:
    what = "1 module" if len(each.took) == 1 else f"{len(each.took):,} modules"
    alone = (
        f"{counted(each.alone, 'module')} ({size_text(each.alone_bytes)}) in only by it"
        if each.alone
        else "all are in without it"
    )
    prefix = f" `{each.prefix}`" if each.prefix else ""
    return f"{shown(each.file, resolution)}:{each.line}: {each.rule}{prefix} took {what}; {alone}"


def _not_found_lines(resolution: Resolution) -> list[str]:
    by_name: dict[str, list[Missing]] = {}
    for each in resolution.not_found:
        by_name.setdefault(each.name, []).append(each)
    return [
        f"{name} at {shown(places[0].file, resolution)}:{places[0].line}"
        + (f" and {counted(len(places) - 1, 'more place')}" if places[1:] else "")
        for name, places in sorted(by_name.items())
    ]


def _shadowed_lines(resolution: Resolution) -> list[str]:
    return [
        f"`{each.name}` is {shown(each.file, resolution)}, not "
        + ", ".join(shown(other, resolution) for other in each.others)
        for each in resolution.shadowed
    ]


def _ignored_lines(overview: Overview) -> list[str]:
    return [shown(file, overview.planned.resolution) for file in overview.git_ignored or ()]


def _left_lines(overview: Overview) -> list[str]:
    return [
        f"{each.name:<28} {size_text(each.bytes):>10}  {counted(each.files, 'file')}"
        for each in overview.left or ()
    ]


def _why_words(resolution: Resolution) -> str:
    return f"raybundle why {_short_target(resolution)}"


def _short_target(resolution: Resolution) -> str:
    target = resolution.target
    return shown(target.path, resolution) if isinstance(target, ScriptTarget) else target_text(target)


def markdown_lines(overview: Overview) -> Iterator[str]:
    """Yields the lines of a comment for a pull request."""
    planned = overview.planned
    resolution = planned.resolution
    files = counted(len(planned.files), "file")
    yield f"### Bundle of {_code(_short_target(resolution))}: {files}, {size_text(planned.bytes)}"
    yield ""
    yield f"`{planned.digest}`, {planned.manifest.python.text}"
    yield from _table(
        ("package", "root", "modules", "data", "size"),
        [(_code(p.name), _code(p.root), p.modules, p.data, size_text(p.bytes)) for p in overview.packages],
    )
    yield from _table(
        ("guessed at", "rule", "took", "by nothing else"),
        [_widening_row(each, resolution) for each in overview.widenings],
    )
    reasons = reasons_of(resolution)
    yield from _table(
        ("distribution", "version", "size", "from", "needed"),
        [
            (d.name, d.version or ANY, _size_of(d), d.provided_by, reason_text(reasons[d.name], resolution))
            for d in resolution.distributions
            if d.modules or d.provided_by != "ray"
        ],
        DISTRIBUTIONS,
    )
    for title, unused in (("extras", resolution.optional), ("plugins", resolution.plugins)):
        lines = [" ".join(each.split()) for each in _unused_lines(unused)]
        yield from _bullets(f"Installed {title}, not bundled", lines)
    yield from _bullets("Optional, not found", _not_found_lines(resolution))
    yield from _bullets("More than one file", _shadowed_lines(resolution))
    yield from _bullets("Ignored by git, but included", _ignored_lines(overview))
    yield from _bullets("Warnings", [_warning_text(each, resolution) for each in alike(resolution.warnings)])


def _widening_row(each: Guess, resolution: Resolution) -> Sequence[str]:
    took = _code(each.took[0]) if len(each.took) == 1 else f"{len(each.took)} of {_code(each.prefix)}"
    alone = f"{counted(each.alone, 'module')}, {size_text(each.alone_bytes)}"
    return _code(f"{shown(each.file, resolution)}:{each.line}"), each.rule, took, alone


def _warning_text(group: Sequence[Warning], resolution: Resolution) -> str:
    """Returns a warning with its place, and the places of similar ones."""
    places = [
        f"{shown(each.file, resolution)}{f':{each.line}' if each.line else ''}" for each in group if each.file
    ]
    text = f"{places[0]}: {group[0].text}" if group[0].line else group[0].text
    if len(group) == 1:
        return text
    more = f" and {len(places) - PLACES - 1} more places" if len(places) > PLACES + 1 else ""
    return f"{text} (also at {', '.join(places[1 : PLACES + 1])}{more})"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], shown: int = 2 * SHOWN) -> Iterator[str]:
    if not rows:
        return
    yield ""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    for row in rows[:shown]:
        yield f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in row)} |"
    if len(rows) > shown:
        yield f"\nand {len(rows) - shown:,} more"


def _bullets(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"\n**{title}**"
        yield ""
        yield from (f"- {line}" for line in lines[: 2 * SHOWN])
        if len(lines) > 2 * SHOWN:
            yield f"- and {len(lines) - 2 * SHOWN:,} more"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def trace_line(resolution: Resolution) -> str:
    """Returns one line about how statements and traced runs differ."""
    shown = sum(module.found_by == "traced" for module in resolution.modules)
    unused = len(resolution.not_imported or ())
    return f"{shown} modules that no statement shows; {unused} of statements that no run imported"
