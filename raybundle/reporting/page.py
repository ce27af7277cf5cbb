"""Puts a report together: one HTML file that makes no request."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime, timezone
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from raybundle.formats.amounts import counted, size_text
from raybundle.reporting.columns import columns
from raybundle.reporting.markup import script_json, text
from raybundle.reporting.views import views
from raybundle.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.reporting.facts import Facts

_SCRIPTS = ("page.js", "treemap.js", "graph.js", "waterfall.js", "start.js")


def page(facts: Facts, drawing: str, now: datetime | None = None) -> str:
    """Returns the page.

    Args:
        facts: what it shows.
        drawing: the script of the library that draws.
        now: when it is made.
    """
    scripts = "".join(_asset(name) for name in _SCRIPTS)
    shown = list(views(facts))
    made = now or datetime.now(timezone.utc)
    timeline = facts.timeline.stages if facts.timeline else ()
    data = columns(facts) | {
        "stages": [[each.name, each.start, each.seconds, each.inner] for each in timeline]
    }
    return Template(_asset("page.html")).substitute(
        policy=text(_policy(scripts, drawing)),
        title=text(facts.title),
        digest=text(facts.digest),
        short=text(facts.digest.removeprefix("sha256:")[:12]),
        made=f"{made:%Y-%m-%d %H:%M} UTC",
        version=text(__version__),
        style=_asset("page.css"),
        figures="".join(_figures(facts)),
        navigation="".join(_link(*each[:3]) for each in shown),
        views="".join(view for *_, view in shown),
        data=script_json(data),
        drawing=drawing,
        scripts=scripts,
    )


def _policy(*scripts: str) -> str:
    """Returns a Content-Security-Policy: these scripts run, and no request is made for anything.

    Styles may be inline, because the drawing library sets them; with no request allowed they can do nothing.
    """
    allowed = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _figures(facts: Facts) -> Iterable[str]:
    travel = [each for each in facts.graph["distributions"] if each["provided_by"] == "bundle"]
    amount, _, unit = size_text(facts.bytes).partition(" ")
    yield _figure(amount, unit, "in the bundle")
    yield _figure(f"{len(facts.graph['modules']):,}", "", "modules")
    yield _figure(f"{len(travel):,}", "", "distribution" if len(travel) == 1 else "distributions")
    if facts.here is not None:
        number = len(facts.here.warnings)
        yield _figure(f"{number:,}", "", "warning" if number == 1 else "warnings")


def _figure(number: str, unit: str, noun: str) -> str:
    return f"<div><dt>{noun}</dt><dd>{number}{f' <small>{unit}</small>' if unit else ''}</dd></div>"


def _link(name: str, title: str, count: int) -> str:
    shown = (
        f' <span class="count" title="{counted(count, "entry", "entries")}">{count:,}</span>' if count else ""
    )
    return f'<a href="#{name}">{title}{shown}</a>'


def _asset(name: str) -> str:
    return (files("raybundle.reporting") / "assets" / name).read_text("utf-8")
