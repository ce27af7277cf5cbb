"""Explains for each distribution why uv has no wheel for the nodes, and which version has one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.wheels.compile import compiled
from raybundle.wheels.order import HINT_WHEEL
from raybundle.wheels.uv.run import NoSolutionError

if TYPE_CHECKING:
    from raybundle.wheels.compile import UvSettings
    from raybundle.wheels.order import Order

_NO_VERSION = "there is no version of"
_AT_ONCE = 4
"""Concurrent runs of uv, for one distribution each; its cache has most answers by now."""


def explain(order: Order, uv: UvSettings, whole: NoSolutionError) -> BundleError:
    """Returns the error that names every distribution without a wheel; `whole` is uv's reason for all."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda each: _refusal(each, order, uv), order.requirements)
        refused = [text for text in found if text is not None]
    if not refused:
        return BundleError(
            f"the versions do not fit together on {order.nodes}: {whole}",
            hint="install versions that do, or write a lock for the nodes",
        )
    return BundleError(
        f"there is no wheel for {order.nodes} of:\n" + "\n".join(refused),
        hint=f"install a version that has one, also here; or {HINT_WHEEL}",
    )


def _refusal(requirement: str, order: Order, uv: UvSettings) -> str | None:
    reason = _reason(requirement, order, uv)
    if reason is None:
        return None
    name, exact, version = requirement.partition("==")
    if not exact:
        return f"{requirement}: {reason}"
    unknown = ", which no index has" if _NO_VERSION in reason else ""
    newest = _newest(name, order, uv)
    others = f"; the newest version that has one is {newest}" if newest else "; no other version has one"
    return f"{name} {version}{unknown}{others}"


def _reason(requirement: str, order: Order, uv: UvSettings) -> str | None:
    try:
        _ask(requirement, order, uv)
    except NoSolutionError as error:
        return str(error)
    return None


def _newest(name: str, order: Order, uv: UvSettings) -> str | None:
    try:
        return _ask(name, order, uv).strip().partition("==")[2] or None
    except NoSolutionError:
        return None


def _ask(requirement: str, order: Order, uv: UvSettings) -> str:
    return compiled([requirement], ["--no-deps"], order, uv)
