"""The views of the report. Each answers one question; its answer comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.formats.amounts import counted, duration_text, size_text
from raybundle.reporting.markup import code, empty, prose, section, table, text
from raybundle.reporting.path_view import path_view

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.model import Warning
    from raybundle.pipeline.changes import Changes, DistributionChange, FileChange
    from raybundle.reporting.facts import Facts, Stage

LISTED = 200
"""Rows of a table of changes; `plan --against --json` has all."""
LONGEST = 4
"""Imports of a chain that a table names; the view of imports has all."""
LARGEST = 3
"""Distributions that the answer about sizes names."""
_NONE = "&ndash;"


def size_view(facts: Facts) -> str:
    """Returns what takes the space."""
    own = sum(each.size for each in facts.manifest.files)
    travel = sorted(
        (each for each in facts.graph["distributions"] if each["provided_by"] == "bundle"),
        key=lambda each: -each.get("bytes", 0),
    )
    files = counted(len(facts.manifest.files), "file")
    if travel and facts.bytes:
        named = [
            f"<b>{text(each['name'])}</b> {size_text(each.get('bytes', 0))}" for each in travel[:LARGEST]
        ]
        share = sum(each.get("bytes", 0) for each in travel[:LARGEST]) / facts.bytes
        most, whole = ", ".join(named), size_text(facts.bytes)
        if own > facts.bytes / 2:
            answer = f"<b>The project's own {files}</b>: {own / facts.bytes:.0%} of {whole}. Then {most}."
        else:
            answer = f"{most}: {share:.0%} of {whole}. The project's own {files} take {size_text(own)}."
    else:
        answer = f"All {size_text(facts.bytes)} are the project's own {files}."
    body = (
        '<nav class="crumbs" id="size-crumbs" aria-label="Place in the bundle"></nav>'
        '<div class="split"><div class="drawing" id="treemap" role="img" '
        'aria-label="Treemap of the bundle by size; the list beside it has the same entries"></div>'
        '<div class="side" id="size-list"></div></div>'
        '<p class="legend"><span class="key code"></span>modules <span class="key data"></span>data '
        '<span class="key third"></span>distributions'
        '<span class="keys"><kbd>Enter</kbd> opens an entry, <kbd>Esc</kbd> goes back</span></p>'
    )
    return section("size", "What takes the space?", answer, body)


def why_view() -> str:
    """Returns why a module is in the bundle; the page's script fills it for the chosen one."""
    body = (
        '<div class="search"><label for="search">Module or distribution</label>'
        '<input id="search" type="search" role="combobox" autocomplete="off" spellcheck="false" '
        'aria-expanded="false" aria-controls="found" aria-autocomplete="list" placeholder="part of a name">'
        '<kbd>/</kbd><ul id="found" role="listbox" hidden></ul></div>'
        '<h3 id="why-name"></h3><ol class="chain" id="chain"></ol>'
        '<div class="drawing wide" id="graph" role="img" '
        'aria-label="Imports around the module; the lists below have the same entries"></div>'
        '<div class="split even"><div id="importers"></div><div id="imports"></div></div>'
    )
    return section("why", "Why is it in the bundle?", "", body)


def warnings_view(facts: Facts) -> str:
    """Returns what is unknown or suspicious, each with what settles it."""
    question = "What should be settled?"
    if facts.here is None:
        body = empty(
            "A store keeps no warnings. A report of the target has them:",
            f"raybundle report {facts.title} -o report.html",
        )
        return section("warnings", question, "Not known for a stored bundle.", body)
    found = facts.here.warnings
    if not found:
        return section("warnings", question, "Nothing: every import and every file is accounted for.", "")
    answer = f"{counted(len(found), 'warning')}, each with the line that settles it."
    if len(found) == 1:
        answer = "One warning."
    rows = "".join(_warning(each, facts.here.project) for each in found)
    return section("warnings", question, answer, f'<ul class="warnings">{rows}</ul>')


def _warning(warning: Warning, project: str) -> str:
    place = ""
    if warning.file is not None:
        name = str(warning.file).removeprefix(f"{project}/")
        place = f'<p class="place">{code(f"{name}:{warning.line}" if warning.line else name)}</p>'
    hint = f'<p class="hint">{prose(warning.hint)}</p>' if warning.hint else ""
    return f"<li>{place}<p>{prose(warning.text)}</p>{hint}</li>"


def changes_view(facts: Facts) -> str:
    """Returns what differs from the version before."""
    before = facts.before
    if before is None:
        body = empty(
            "Name a commit, a branch or a bundle of the store:",
            f"raybundle report {facts.title} --against main -o report.html",
        )
        return section("changes", "What changed?", "There is nothing to compare with.", body)
    question = f"What changed since {before.name}?"
    if before.changes is None:
        fault = empty((before.fault or "").partition("\n")[0])
        return section("changes", question, "There was no such bundle.", fault)
    changes = before.changes
    if not changes.differs:
        return section("changes", question, "Nothing: it is the same bundle.", "")
    grown = changes.after.bytes - changes.before.bytes
    numbers = {
        "file": len(changes.files),
        "distribution": len(changes.distributions),
        "new warning": len(changes.warnings),
    }
    counts = [counted(number, noun) for noun, number in numbers.items() if number] or ["The manifest"]
    sign = "+" if grown >= 0 else "&minus;"
    answer = f"{', '.join(counts)}, <b>{sign}{size_text(abs(grown))}</b>."
    return section("changes", question, answer, _change_tables(changes))


_SIGNS = {"added": "+", "removed": "&minus;", "changed": "~"}


def _change_tables(changes: Changes) -> str:
    parts = []
    if changes.distributions:
        rows = [_distribution_change(each) for each in changes.distributions[:LISTED]]
        parts.append(table(["", "distribution", "before", "now"], rows, "changes"))
    if changes.files:
        rows = [_file_change(each) for each in changes.files[:LISTED]]
        parts.append(table(["", "file", ">before", ">now", "imported through"], rows, "changes files"))
    if len(changes.files) > LISTED:
        parts.append(f"<p>And {counted(len(changes.files) - LISTED, 'more file')}.</p>")
    if changes.warnings:
        items = "".join(f"<li>{prose(each.text)}</li>" for each in changes.warnings)
        parts.append(f"<h3>New warnings</h3><ul>{items}</ul>")
    return "".join(parts)


def _sign(kind: str) -> str:
    return f'<span class="{kind}" title="{kind}">{_SIGNS[kind]}</span>'


def _distribution_change(each: DistributionChange) -> list[str]:
    before, after = (code(one) if one else _NONE for one in (each.before, each.after))
    return [_sign(each.kind), code(each.name), before, after]


def _file_change(each: FileChange) -> list[str]:
    before, after = (_NONE if size is None else size_text(size) for size in (each.before, each.after))
    places = [code(f"{edge.importer}:{edge.line}") for edge in each.chain]
    if len(places) > LONGEST:
        between = counted(len(places) - LONGEST + 1, "import")
        places[LONGEST // 2 : 1 - LONGEST // 2] = [f"<small>{between}</small>"]
    chain = " → ".join(places)
    return [_sign(each.kind), code(each.path.removeprefix("project/")), before, after, chain]


def time_view(facts: Facts) -> str:
    """Returns where the time of a run went, or that of making the bundle."""
    question = "Where did the time go?"
    timeline = facts.timeline
    if timeline is not None and not timeline.stages:
        body = empty("It has recorded no event:", "raybundle runs --refresh")
        return section("time", question, f"{text(timeline.title)} is {text(timeline.outcome)}.", body)
    if timeline is None:
        body = empty("A report of a run shows its stages:", "raybundle report RUN -o FILE.html")
        return section("time", question, "No run of this bundle was asked for.", body)
    end = max(stage.end for stage in timeline.stages)
    longest = max((each for each in timeline.stages if not each.inner), key=lambda stage: stage.seconds)
    css = "removed" if timeline.failed else "added"
    outcome = f'<b class="{css}">{text(timeline.outcome)}</b> after ' if timeline.outcome else ""
    share = f" ({longest.seconds / end:.0%})" if end else ""
    answer = (
        f"{outcome}<b>{duration_text(end)}</b>. The longest part is {text(longest.name)}, "
        f"{duration_text(longest.seconds)}{share}."
    )
    rows = [
        [_stage(each), duration_text(each.seconds), duration_text(each.start)] for each in timeline.stages
    ]
    body = (
        f"<h3>{text(timeline.title)}</h3>"
        '<div class="drawing" id="waterfall" role="img" '
        'aria-label="Stages; the table below has the same"></div>'
        + table(["stage", ">takes", ">starts after"], rows, "stages")
    )
    return section("time", question, answer, body)


def _stage(stage: Stage) -> str:
    note = f"<br><small>{text(stage.note)}</small>" if stage.note else ""
    css = ' class="inner"' if stage.inner else ""
    return f"<span{css}>{text(stage.name)}</span>{note}"


def views(facts: Facts) -> Iterator[tuple[str, str, int, str]]:
    """Yields the name, the short title, a count for the navigation and the HTML of each view."""
    before = facts.before
    changed = before.changes if before else None
    yield "size", "Size", 0, size_view(facts)
    yield "why", "Why", 0, why_view()
    yield "path", "Path", 0, path_view(facts)
    yield "warnings", "Warnings", len(facts.here.warnings) if facts.here else 0, warnings_view(facts)
    yield "changes", "Changes", len(changed.files) if changed else 0, changes_view(facts)
    yield "time", "Time", 0, time_view(facts)
