"""Says where uv looks for wheels: as its own configuration has it, else as that of pip."""

from __future__ import annotations

import configparser
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_OWN = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX")
_OWN_KEY = re.compile(
    r"^\s*(index|index-url|extra-index-url|find-links|no-index)\s*=|\[\[(tool\.uv\.)?index\]\]",
    re.MULTILINE,
)
_LINKS = re.compile(r"^\s*find-links\s*=\s*\[(?P<items>[^\]]*)\]", re.MULTILINE)
_FROM_PIP = {"index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_INDEX", "find-links": "UV_FIND_LINKS"}
_AS_PIP = "unsafe-best-match"
"""pip takes a version from whichever of its indexes has it; uv by itself asks the first that has the name."""
_DECIDING = ("UV_", "PIP_")
"""Starts of the variables that may change an answer of uv."""
_IRRELEVANT = frozenset({"UV_CACHE_DIR", "UV_NO_PROGRESS", "UV_OFFLINE", "UV_CONCURRENT_DOWNLOADS"})


@dataclass(frozen=True, slots=True)
class Indexes:
    """Where wheels come from."""

    environ: Mapping[str, str]
    """For uv."""
    links: tuple[Path, ...]
    """Directories that are looked through for wheels."""
    stamp: str
    """Hex; another one where anything that was asked changed."""


def indexes_of(project: Path, environ: Mapping[str, str]) -> Indexes:
    """Return where uv looks for wheels; where nothing tells uv itself, what pip is told counts."""
    texts = {str(file): _text(file) for file in _uv_files(project, environ)}
    pip_texts = {str(file): _text(file) for file in _pip_files(environ)}
    own = any(environ.get(name) for name in _OWN) or any(map(_OWN_KEY.search, _uv_parts(texts)))
    added = {} if own else _of_pip(pip_texts.values(), environ)
    used = {**environ, **added}
    deciding = sorted(
        each for each in used.items() if each[0].startswith(_DECIDING) and each[0] not in _IRRELEVANT
    )
    links = tuple(_links(project, texts, used))
    said = [deciding, list(_uv_parts(texts)), sorted(map(_wheels_in, links))]
    return Indexes(used, links, hashlib.sha256(json.dumps(said).encode()).hexdigest())


def _wheels_in(directory: Path) -> list[tuple[str, int, int]]:
    """Return name, size and mtime of each wheel: one may be built again under the same name."""
    found = [(each.name, each.stat()) for each in directory.glob("*.whl") if each.is_file()]
    return sorted((name, status.st_size, status.st_mtime_ns) for name, status in found)


def _uv_files(project: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    yield project / "uv.toml"
    yield project / "pyproject.toml"
    yield _home(environ, "XDG_CONFIG_HOME", ".config") / "uv" / "uv.toml"
    yield Path("/etc/uv/uv.toml")
    if environ.get("UV_CONFIG_FILE"):
        yield Path(environ["UV_CONFIG_FILE"])


def _pip_files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield pip's files, those that count less first (pip's documentation, configuration)."""
    for directory in environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":"):
        yield Path(directory) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    yield _home(environ, "HOME", ".") / ".pip" / "pip.conf"
    yield _home(environ, "XDG_CONFIG_HOME", ".config") / "pip" / "pip.conf"
    if environ.get("VIRTUAL_ENV"):
        yield Path(environ["VIRTUAL_ENV"]) / "pip.conf"
    if environ.get("PIP_CONFIG_FILE"):
        yield Path(environ["PIP_CONFIG_FILE"])


def _home(environ: Mapping[str, str], name: str, below: str) -> Path:
    return Path(environ[name]) if environ.get(name) else Path(environ.get("HOME", "/nonexistent")) / below


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return ""


def _uv_parts(texts: Mapping[str, str]) -> Iterator[str]:
    """Yield what the files say to uv; of a pyproject.toml, its tables of uv."""
    for file, text in texts.items():
        if not file.endswith("pyproject.toml"):
            yield text
            continue
        for part in re.split(r"^(?=\[)", text, flags=re.MULTILINE):
            if part.startswith(("[tool.uv", "[[tool.uv")):
                yield part


def _of_pip(texts: Iterable[str], environ: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        parser = configparser.RawConfigParser(strict=False)
        try:
            parser.read_string(text)
        except configparser.Error:
            continue
        for section in ("global", "install"):
            for key in (*_FROM_PIP, "no-index"):
                if parser.has_option(section, key):
                    found[key] = parser.get(section, key)
    no_index = environ.get("PIP_NO_INDEX") or found.pop("no-index", "")
    for key in _FROM_PIP:
        found[key] = environ.get("PIP_" + key.upper().replace("-", "_")) or found.get(key, "")
    joined = {"index-url": " ", "extra-index-url": " ", "find-links": ","}
    variables = {
        _FROM_PIP[key]: joined[key].join(value.split()) for key, value in found.items() if value.strip()
    }
    if no_index.lower() in {"1", "true", "yes", "on"}:
        variables = {name: variables[name] for name in ("UV_FIND_LINKS",) if name in variables}
        variables["UV_NO_INDEX"] = "1"  # else uv would ask its own default for what is nobody else's business
    if "UV_INDEX" in variables:
        variables["UV_INDEX_STRATEGY"] = environ.get("UV_INDEX_STRATEGY", _AS_PIP)
    return variables


def _links(project: Path, texts: Mapping[str, str], environ: Mapping[str, str]) -> Iterator[Path]:
    items = re.split(r"[,\s]+", environ.get("UV_FIND_LINKS", ""))
    for text in _uv_parts(texts):
        for found in _LINKS.finditer(text):
            items += re.findall(r"[\"']([^\"']+)[\"']", found["items"])
    for item in items:
        path = project / item.removeprefix("file://")
        if item and path.is_dir():
            yield path
