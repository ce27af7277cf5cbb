"""Translates pip's configuration of indexes into variables of uv."""

from __future__ import annotations

import configparser
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.wheels.uv.run import is_true

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FROM_PIP = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
_AS_PIP = "unsafe-best-match"
"""pip takes a version from any of its indexes; uv by default asks only the first that has the name."""
_SECTIONS = ("global", "install")
"""The later one takes precedence, in whichever file it is."""


@dataclass(frozen=True, slots=True)
class PipPlaces:
    """What determines where pip's files are."""

    environ: Mapping[str, str]
    prefix: Path
    """`sys.prefix` of the interpreter that has pip."""
    system: str
    """`sys.platform`."""


def pip_variables(places: PipPlaces) -> dict[str, str]:
    """Returns the variables that make uv look where pip does.

    Raises:
        BundleError: pip cannot read one of its files.
    """
    found = _settings(places)
    variables = {
        variable: ("," if key == "find-links" else " ").join(found[key].split())
        for key, variable in _FROM_PIP.items()
        if key in found
    }
    if is_true(found.get("no-index", "")):
        variables = {name: variables[name] for name in ("UV_FIND_LINKS",) if name in variables}
        variables["UV_NO_INDEX"] = "1"  # otherwise uv would ask its default index for private names
    if "UV_INDEX" in variables:
        variables["UV_INDEX_STRATEGY"] = places.environ.get("UV_INDEX_STRATEGY", _AS_PIP)
    return variables


def _settings(places: PipPlaces) -> dict[str, str]:
    """Returns pip's settings; empty ones do not count."""
    told: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for file in pip_files(places):
        parser = _parsed(file)
        for section in filter(parser.has_section, _SECTIONS):
            told[section].update({_key(name): value for name, value in parser.items(section)})
    variables = {
        _key(name.removeprefix("PIP_")): value
        for name, value in places.environ.items()
        if name.startswith("PIP_")
    }
    found: dict[str, str] = {}
    for settings in (*told.values(), variables):
        found.update({name: value for name, value in settings.items() if value and value.strip()})
    return found


def _key(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def pip_files(places: PipPlaces) -> Iterator[Path]:
    """Yields pip's files in reverse order of precedence (see pip's documentation, configuration)."""
    environ = places.environ
    own = environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return
    home = Path(environ.get("HOME") or "/nonexistent")
    yield from _of_all(places)
    if not (own and Path(own).exists()):
        yield home / ".pip/pip.conf"
        yield _of_user(places, home)
    yield places.prefix / "pip.conf"
    if own:
        yield Path(own)


def _of_all(places: PipPlaces) -> Iterator[Path]:
    if places.system == "darwin":
        yield Path("/Library/Application Support/pip/pip.conf")
        return
    for directory in (places.environ.get("XDG_CONFIG_DIRS", "").strip() or "/etc/xdg").split(":"):
        yield Path(directory) / "pip/pip.conf"
    yield Path("/etc/pip.conf")


def _of_user(places: PipPlaces, home: Path) -> Path:
    if places.system != "darwin":
        return Path(places.environ.get("XDG_CONFIG_HOME", "").strip() or home / ".config") / "pip/pip.conf"
    library = home / "Library/Application Support/pip"
    return (library if library.is_dir() else home / ".config/pip") / "pip.conf"


def _parsed(file: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    try:
        parser.read_string(file.read_text("utf-8", "replace"))
    except OSError:
        return parser
    except configparser.Error as error:
        raise BundleError(  # without the line, which may hold a password
            f"cannot read {file}: it is not a configuration of pip ({type(error).__name__})",
            hint="correct it, or name the index in UV_DEFAULT_INDEX; otherwise another index would be asked",
        ) from None
    return parser
