"""Vega, the library that draws in the page, from the distribution vl-convert-python."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from raybundle.cache.documents import Kind
from raybundle.errors import UsageError

if TYPE_CHECKING:
    from raybundle.cache.documents import Cache

_KEPT = Kind("drawing", 2)
_NAMES = "window.vegaEmbed = vegaEmbed; window.vega = vega;"
"""vega-embed brings the interpreter of expressions that needs no `eval`."""


def drawing_library(cache: Cache) -> str:
    """Returns the script that draws, with all that it needs. Bundling takes a second, so it is kept.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import vl_convert  # noqa: PLC0415 - 84 MB, which only a report needs
    except ImportError as error:
        raise UsageError(
            "`report` needs vl-convert-python, which is not installed", hint="pip install 'raybundle[report]'"
        ) from error
    name = cache.key(version("vl-convert-python"))
    script = cache.read_text(_KEPT, name)
    if not script:
        script = vl_convert.javascript_bundle(_NAMES).encode("ascii", "backslashreplace").decode()
        script = script.replace("</script", "<\\/script").replace(
            "<!--", "<\\!--"
        )  # it stands inside of HTML
        cache.write_text(_KEPT, name, script)
    return script
