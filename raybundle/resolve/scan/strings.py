"""Finds dotted names in strings and in small configuration files. The walk decides which are modules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.files.vocabulary import is_output

if TYPE_CHECKING:
    from raybundle.resolve.facts import Role

_DOTTED = rb"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*(?:\.[A-Za-z_]\w*|:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
"""`a.b`, `a.b:c` or `a:b`, but not a single name."""

_NO_PREFIX = rb"(?<![\w'\"]['\"])"
_RAW = rb"(?<=[rR]['\"])(?<![\w'\"][rR]['\"])"
_LITERAL = re.compile(rb"(['\"])(?:" + _NO_PREFIX + rb"|" + _RAW + rb")(" + _DOTTED + rb")\1(?!\1)")
"""Begins with the quote and looks back from there, so that the search goes from quote to quote."""
_IN_CONFIG = re.compile(rb"(?<![\w./:@%{-])(" + _DOTTED + rb")(?![\w./@%(-])")

_SCHEME = rb"(?:[A-Za-z][\w+.-]*:(?://)?|!!python/[a-z/]+:)"
"""`module://`, `ext://`, `python:`; and the tags by which YAML makes Python objects."""
_REFERENCE = re.compile(
    rb"(['\"])(?P<text>\s*(?:"
    rb"(?:" + _SCHEME + rb")?(?P<name>" + _DOTTED + rb")(?:\((?:(?!\1)[^\n])*\)|#\w+)?"
    rb"|(?:" + _SCHEME + rb")?(?P<file>(?:\w+/)*\w+)\.py::?(?P<member>\w+)"
    rb")\s*)\1(?!\1)"
)
"""A whole string: `module://pkg.mod`, `pkg.mod:f()`, `pkg.mod.f(1, 2)`, `pkg.mod#f`, `pkg/mod.py::f`."""
_MARKS = re.compile(
    rb"[:!#.)'\"](?:(?<=:)//|(?<=!)!python/|(?<=#)\w+['\"]|(?<=\.)py::?\w|(?<=\))['\"]|(?<=['\"]) +\w)"
)
"""Part of each line that has such a string."""
_SCHEMED = re.compile(rb"(?:^|[\s'\"\[,=({])" + _SCHEME + rb"(" + _DOTTED + rb")")
"""The same in a configuration file, where no quotes need to be around it."""

_FILE_IN_CONFIG = re.compile(
    rb"(?:^|(?<=[\s'\"\[,=:({]))((?:\.{1,2}/)*(?:[\w-][\w.-]*/)*[\w-][\w.-]*\.[A-Za-z]\w{0,9})(?=['\"\s\],;})#]|$)"
)
"""A path with a suffix, as a whole value. A line with `://` before it has a URL, not a path."""

_OF_HANDLER = re.compile(rb"\s*['\"]?(?:filename|args)\b")
"""Begins the line that tells a handler of `logging` where to write."""
_VALUE_IN_CONFIG = re.compile(
    rb"(?:(?<![\w-])(?P<key>[\w-]+)['\"]?\s*[:=]\s*|[\[,]\s*|^\s*-\s+)(?P<quote>['\"]?)(?P<url>file:(?://)?)?"
    rb"(?P<path>(?:\.{1,2}/)*[\w-]+(?:/[\w-][\w.-]*)*/?)(?P=quote)(?=\s*(?:[,\]})#]|$))"
)
"""A value that may be a relative path without a suffix, or hydra's URL of one; and its key.

The key begins a word, for speed.
"""
_OF_DIRECTORIES = re.compile(r"(?i)(?:dir|path|root|folder|directory)s?\Z")
"""Ends the key of a directory, so that its value needs no `/`."""
_NO_PATH = re.compile(r"(?i)[\d-]+|true|false|null|none|yes|no|on|off")
_SCRIPT_LOCATION = re.compile(rb"^script_location\s*=\s*[\"']?(?:%\(here\)s/)?([\w./-]*\w)", re.MULTILINE)
_OF_SECRETS = re.compile(r"(?i)secret|credential|private_?key")

CONFIG_SUFFIXES = (
    *(".yaml", ".yml", ".json", ".toml", ".ini", ".cfg", ".conf"),
    *(".gin", ".jsonnet", ".libsonnet", ".hocon", ".json5", ".jsonc"),
)
_NAMED_CONFIG = re.compile(rb"\.(y\*ml|ya?ml|json(?:net|5|c)?|toml|ini|cfg|conf|gin|libsonnet|hocon)['\"]")
"""The suffix of a configuration file at the end of a string. It begins with the dot, for speed."""
_STEM = re.compile(rb"[\w.*?\[\]-]*\Z")
_KNOWN = re.compile(r"[\w.-]+")
_LONGEST_STEM = 100
_YAML = {"y*ml": ("yaml", "yml")}
CONFIG_LIMIT = 64 * 1024
"""Bytes. A larger file is data, not configuration."""

_INTERPOLATION = re.compile(rb"\$\{([^${}]*)\}(/?)")
"""Takes the value of another key, as OmegaConf and hydra write it."""
_SETTING = re.compile(
    rb"^[ \t-]*['\"]?(\w[\w-]*)['\"]?[ \t]*[:=][ \t]*['\"]?([\w./${}:,-]+)['\"]?[ \t]*,?[ \t]*(?:#.*)?$",
    re.MULTILINE,
)
_NESTED = 4
"""Values that may be in each other."""
_WORD = rb"['\"]?[A-Za-z_]\w*['\"]?"
_LIST_OF_MODULES = re.compile(
    rb"\b(?:\w+_)?(plugin|module|app|extension|package|backend|component|import|hook)s?['\"]?[ \t]*[:=][ \t]*"
    rb"(\[[^\[\]{}:]*\]"
    rb"|(?:\n[ \t]*-[ \t]+" + _WORD + rb"[ \t]*$)+"
    rb"|" + _WORD + rb"(?:[ \t]*,[ \t]*" + _WORD + rb")*(?=[ \t]*(?:[,}]|$)))",
    re.MULTILINE,
)
"""A key that names modules, and words as its value: a list, the items below it, or words with commas."""

_OF_GIN = re.compile(rb"^(?:import|from)[ \t]+([A-Za-z_][\w.]*)[ \t]*(?:$|import\b|as\b)", re.MULTILINE)
"""An import in a configuration of gin, which is written as in Python."""

LIST_LIMIT = 1024 * 1024
"""Bytes of a text that is searched for paths, which takes about a tenth of a second."""
_LONGEST_PATH = 250
_BETWEEN = re.compile(rb"[\s,;|='\"\[\](){}<>]+")
"""Separates the values of a line in CSV, TSV, JSON and plain text."""
_PATH_IN_LIST = re.compile(rb"(?:\.{1,2}/)*[\w-][^:*?\\]*(?:/[^:*?\\]+|\.[A-Za-z]\w{0,9})\Z")

_OF_TOOLS = frozenset(
    [
        *("pyproject.toml", "setup.cfg", "tox.ini", "pytest.ini", "mypy.ini", "ruff.toml"),
        *("package.json", "package-lock.json", "tsconfig.json", "raybundle-trace.json"),
    ]
)
"""Configuration of developer tools and of raybundle. A job does not load what it names."""


def is_config(name: str) -> bool:
    """Returns whether a file of this name is configuration that a program may read at run time."""
    return name.endswith(CONFIG_SUFFIXES) and name not in _OF_TOOLS and not name.startswith(".")


def is_program(file: str) -> bool:
    """Returns whether a file may be a makefile or a program in text, which its first line may decide."""
    return file.endswith((".sh", ".bash", ".mk")) or "." not in file.rpartition("/")[2]


def config_names(source: bytes) -> tuple[str, ...]:
    """Returns the names of configuration files in strings, and `*.yaml` if only the suffix is known."""
    found = set()
    for match in _NAMED_CONFIG.finditer(source):
        before = _STEM.search(source, max(0, match.start() - _LONGEST_STEM), match.start())
        stem, suffix = before[0].decode(errors="replace") if before else "", match[1].decode()
        for each in _YAML.get(suffix, (suffix,)):
            found.add(f"{stem if _KNOWN.fullmatch(stem) else '*'}.{each}")
    return tuple(sorted(found))


def dotted_literals(source: bytes) -> dict[str, str]:
    """Returns each string that is only a reference to a module, and the `pkg.mod:attr` that it means.

    Docstrings do not count.
    """
    found = {match[1].decode(): match[1].decode() for match in _LITERAL.findall(source) if match[1].isascii()}
    for mark in _MARKS.finditer(source):
        line = source[source.rfind(b"\n", 0, mark.start()) + 1 : _end_of_line(source, mark.end())]
        for match in _REFERENCE.finditer(line):
            if match["text"].isascii():
                found.setdefault(match["text"].decode(), _meant(match))
    return found


def _end_of_line(source: bytes, place: int) -> int:
    end = source.find(b"\n", place)
    return len(source) if end < 0 else end


def _meant(match: re.Match[bytes]) -> str:
    if match["file"]:
        return f"{match['file'].decode().replace('/', '.')}:{match['member'].decode()}"
    return match["name"].decode()


def interpolated(text: bytes) -> bytes:
    """Returns configuration with values in the place of `${key}`; an unknown one before a `/` is left out."""
    values = dict(_SETTING.findall(text)) if b"${" in text else {}

    def value(found: re.Match[bytes]) -> bytes:
        name, slash = found.groups()
        resolver, colon, given = name.partition(b":")
        known = given.partition(b",")[2] if colon else values.get(resolver.rpartition(b".")[2])
        return known + slash if known else b"" if slash else found[0]

    for _ in range(_NESTED if values else 0):
        text = _INTERPOLATION.sub(value, text)
    return text


def module_words(text: bytes) -> list[tuple[int, str]]:
    """Returns line and text of single words that keys such as `plugins` give, also those of a package."""
    found: dict[str, int] = {}
    packages, modules = list[str](), list[str]()
    for match in _LIST_OF_MODULES.finditer(text):
        words = [each.decode() for each in re.findall(rb"[A-Za-z_]\w*", match[2]) if each.isascii()]
        line = text.count(b"\n", 0, match.start()) + 1
        found.update(dict.fromkeys(words, line))
        (packages if match[1] == b"package" else modules).extend(words)
    for package in packages:
        found.update((f"{package}.{each}", found[each]) for each in modules)
    for match in _OF_GIN.finditer(text):
        found.setdefault(match[1].decode(), text.count(b"\n", 0, match.start()) + 1)
    return [(line, word) for word, line in found.items()]


def file_names(text: bytes) -> list[tuple[int, str]]:
    """Returns line and text of what looks like a relative path of a file in a configuration file."""
    return [
        (number, found[1].decode(errors="replace"))
        for number, line in enumerate(text.splitlines(), 1)
        for found in _FILE_IN_CONFIG.finditer(line)
        if not (found[1].endswith(b".log") and _OF_HANDLER.match(line))
    ]


def listed_names(text: bytes) -> list[tuple[int, str]]:
    """Returns line and text of what looks like a relative path of a file in a text, each once."""
    found: dict[bytes, int] = {}
    for number, line in enumerate(text.splitlines() if len(text) <= LIST_LIMIT else (), 1):
        if b"/" in line or b"." in line:
            for word in _BETWEEN.split(line):
                if word not in found and len(word) < _LONGEST_PATH and _PATH_IN_LIST.match(word):
                    found[word] = number
    return [(number, word.decode(errors="replace")) for word, number in found.items()]


def script_places(text: bytes) -> list[tuple[int, str]]:
    """Returns line, and directory and pattern, of what alembic reads from its `script_location`."""
    return [
        (text.count(b"\n", 0, found.start()) + 1, f"{found[1].decode()}{form}")
        for found in _SCRIPT_LOCATION.finditer(text)
        for form in ("", "/**/*.py")
    ]


def plain_paths(text: bytes) -> list[tuple[int, str, bool, Role]]:
    """Returns line and text of what may be a path without a suffix.

    Each with whether it may be a directory, not only a file; and what its key says that it is for.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for match in _VALUE_IN_CONFIG.finditer(line):
            key, path = ((match[each] or b"").decode(errors="replace") for each in ("key", "path"))
            if not _NO_PATH.fullmatch(path):
                wide = bool(match["url"] or "/" in path or _OF_DIRECTORIES.search(key))
                role: Role = "secrets" if _OF_SECRETS.search(key) else "data"
                found.append((number, path, wide, "written" if is_output(key) else role))
    return found


def dotted_names(text: bytes) -> list[tuple[int, str]]:
    """Returns line and text of what looks like `pkg.mod` or `pkg.mod:attr` in a configuration file."""
    return [
        (number, name.decode())
        for number, line in enumerate(text.splitlines(), 1)
        for name in (*_IN_CONFIG.findall(line), *_SCHEMED.findall(line))
        if name.isascii()
    ]
