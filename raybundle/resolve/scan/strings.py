"""Finds dotted names in strings and in small configuration files. The walk decides which are modules."""

from __future__ import annotations

import re

_DOTTED = rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\.[A-Za-z_]\w*|:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
"""`a.b`, `a.b:c` or `a:b`, but not a single name."""

_NO_PREFIX = rb"(?<![\w'\"]['\"])"
_RAW = rb"(?<=[rR]['\"])(?<![\w'\"][rR]['\"])"
_LITERAL = re.compile(rb"(['\"])(?:" + _NO_PREFIX + rb"|" + _RAW + rb")(" + _DOTTED + rb")\1(?!\1)")
"""Begins with the quote and looks back from there, so that the search goes from quote to quote."""
_IN_CONFIG = re.compile(rb"(?<![\w./:@%{-])(" + _DOTTED + rb")(?![\w./@%(-])")

CONFIG_SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".ini", ".cfg")
_NAMED_CONFIG = re.compile(rb"\.(y\*ml|ya?ml|json|toml|ini|cfg)['\"]")
"""The suffix of a configuration file at the end of a string. It begins with the dot, for speed."""
_STEM = re.compile(rb"[\w.*?\[\]-]*\Z")
_KNOWN = re.compile(r"[\w.-]+")
_LONGEST_STEM = 100
_YAML = {"y*ml": ("yaml", "yml")}
CONFIG_LIMIT = 64 * 1024
"""Bytes. A larger file is data, not configuration."""

_OF_TOOLS = frozenset(
    [
        *("pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini", "mypy.ini", "ruff.toml"),
        *("package.json", "package-lock.json", "tsconfig.json", "raybundle-trace.json"),
    ]
)
"""Configuration of developer tools and of raybundle. A job does not load what it names."""


def is_config(name: str) -> bool:
    """Return whether a file of this name is configuration that a program may read at run time."""
    return name.endswith(CONFIG_SUFFIXES) and name not in _OF_TOOLS and not name.startswith(".")


def config_names(source: bytes) -> tuple[str, ...]:
    """Return the names of configuration files in strings, and `*.yaml` if only the suffix is known."""
    found = set()
    for match in _NAMED_CONFIG.finditer(source):
        before = _STEM.search(source, max(0, match.start() - _LONGEST_STEM), match.start())
        stem, suffix = before[0].decode(errors="replace") if before else "", match[1].decode()
        for each in _YAML.get(suffix, (suffix,)):
            found.add(f"{stem if _KNOWN.fullmatch(stem) else '*'}.{each}")
    return tuple(sorted(found))


def dotted_literals(source: bytes) -> frozenset[str]:
    """Return the strings that look like `pkg.mod` or `pkg.mod:attr`, without docstrings."""
    return frozenset(match[1].decode() for match in _LITERAL.findall(source) if match[1].isascii())


def dotted_names(text: bytes) -> list[tuple[int, str]]:
    """Return line and text of what looks like `pkg.mod` or `pkg.mod:attr` in a configuration file."""
    return [
        (number, name.decode())
        for number, line in enumerate(text.splitlines(), 1)
        for name in _IN_CONFIG.findall(line)
        if name.isascii()
    ]
