"""Understands calls that need what is installed: distributions by name, entry points, file systems."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.resolve.evaluate.calls import argument_of
from raybundle.resolve.evaluate.chains import last_name
from raybundle.resolve.evaluate.name_values import ANY, Text
from raybundle.resolve.evaluate.parsing import walk
from raybundle.resolve.facts import DistributionName, EntryPointGroup, Import

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.resolve.evaluate.calls import Calls
    from raybundle.resolve.evaluate.name_values import NameValues

_ENTRY_POINTS = frozenset(
    [
        *("importlib.metadata.entry_points", "importlib_metadata.entry_points"),
        *("pkg_resources.iter_entry_points", "pkg_resources.working_set.iter_entry_points"),
    ]
)
_OF_ONE = frozenset(["pkg_resources.load_entry_point", "pkg_resources.get_entry_info"])
"""The same with a distribution before the group."""
_DISTRIBUTIONS = frozenset(
    f"{module}.distribution{s}" for module in ("importlib.metadata", "importlib_metadata") for s in ("", "s")
)
_METADATA = (
    frozenset(
        f"{module}.{name}"
        for module in ("importlib.metadata", "importlib_metadata")
        for name in ("version", "distribution", "metadata", "requires", "files")
    )
    | frozenset(
        f"pkg_resources.{name}"
        for name in (
            *(
                "get_distribution",
                "require",
                "working_set.require",
                "Requirement.parse",
                "parse_requirements",
            ),
            *("get_entry_map", "run_script"),
        )
    )
    | _OF_ONE
)
"""Ask for one distribution by its name; those of `pkg_resources` by a requirement."""
_LISTS = frozenset(
    [
        *("importlib.metadata.distributions", "importlib_metadata.distributions"),
        *("importlib.metadata.packages_distributions", "importlib_metadata.packages_distributions"),
    ]
)
"""Answer with all distributions, among which the source picks."""
_WORKING_SET = "pkg_resources.working_set"
"""The same as a value."""
_FILE_SYSTEMS = {
    **dict.fromkeys(("s3", "s3a"), "s3fs"),
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("abfs", "abfss", "adl", "az"), "adlfs"),
    **dict.fromkeys(("http", "https"), "aiohttp"),
    **dict.fromkeys(("sftp", "ssh"), "paramiko"),
    **dict.fromkeys(("smb",), "smbprotocol"),
    **dict.fromkeys(("hf",), "huggingface-hub"),
    **dict.fromkeys(("github", "webhdfs", "dbfs"), "requests"),
}
"""The distribution that fsspec imports for each protocol (`fsspec.registry.known_implementations`)."""
_OPENS = frozenset(
    f"fsspec.{name}"
    for name in (
        *("filesystem", "get_filesystem_class", "get_mapper", "open", "open_files", "open_local"),
        *("url_to_fs", "core.url_to_fs", "core.open", "core.get_filesystem_class"),
    )
)
_REQUIRED = re.compile(r"[A-Za-z0-9][\w.-]*")
"""The name at the start of a requirement such as `humanize>=4`."""
_REQUIREMENT = re.compile(rf"({_REQUIRED.pattern})(?:\s*(?:[<>=!~;\[]|===).*)?")
"""A whole requirement."""
LAST_NAMES = frozenset(
    {name.rpartition(".")[2] for name in (*_METADATA, *_DISTRIBUTIONS, *_LISTS, *_ENTRY_POINTS, *_OPENS)}
    | {"load_setuptools_entrypoints"}
)
"""The last names of these functions."""


@dataclass(slots=True)
class MetadataCalls:
    """What one file asks of the metadata of distributions."""

    calls: Calls
    names: NameValues
    found: list[Import] = field(default_factory=list)
    asked: list[ast.expr] = field(default_factory=list)
    """Expressions that ask for a distribution by a name that only the running program knows."""
    lists: bool = False
    """The source lists all distributions."""

    def take(self, call: ast.Call, names: set[str]) -> bool:
        """Takes what a call of one of `names` asks for. Returns whether it asks for metadata."""
        self.lists |= not names.isdisjoint(_LISTS)
        if names.intersection(_ENTRY_POINTS) or _is_plugin_manager(call):
            self._entry_points(call, 0)
        elif not names.isdisjoint(_METADATA | _DISTRIBUTIONS):
            self._distribution(call)
            self._entry_points_of(call, names)
            if not names.isdisjoint(_OF_ONE):
                self._entry_points(call, 1)
        elif not names.isdisjoint(_OPENS):
            self._file_system(call)
        else:
            return False
        return True

    def _file_system(self, call: ast.Call) -> None:
        """Takes what fsspec needs for the protocols of an address: `s3://bucket/a`, `simplecache::gs://b`."""
        for text in self.names.texts(call.args[0]) if call.args else ():
            for protocol in (each.partition("://")[0] for each in text.value.split("::")):
                if protocol in _FILE_SYSTEMS:
                    self.found.append(Import(call.lineno, DistributionName(_FILE_SYSTEMS[protocol])))

    def pick(self, words: bytes) -> None:
        """Takes the distributions whose names are strings of a source that lists all of them."""
        if not (self.lists or self._has_working_set(words)):
            return
        groups = {each.form.name for each in self.found if isinstance(each.form, EntryPointGroup)}
        for node in self.names.nodes:
            match node:
                case ast.Constant(value=str(text)) if text not in groups and (
                    named := _REQUIREMENT.fullmatch(text)
                ):
                    self.found.append(Import(node.lineno, DistributionName(named[1])))
                case ast.Subscript(value=ast.Attribute(attr="by_key"), slice=key) if not any(
                    each.whole for each in self.names.texts(key)
                ):
                    self.asked.append(node)
                case _:
                    continue

    def _has_working_set(self, words: bytes) -> bool:
        nodes = self.names.nodes if b"working_set" in words else ()
        values = (each for each in nodes if isinstance(each, (ast.Name, ast.Attribute)))
        return any(_WORKING_SET in self.calls.qualified(each) for each in values)

    def _entry_points(self, call: ast.Call, position: int) -> None:
        """Takes a group that is given at a position, or the one of it whose name comes after."""
        if call.args or call.keywords:
            groups = self.names.texts(argument_of(call, position, "group"))
        else:
            groups = tuple(self._selected()) or (Text(ANY),)
        name = argument_of(call, position + 1, "name")
        points = [each.value if each.whole else "" for each in self.names.texts(name)] if name else [""]
        for group in groups:
            for point in points:
                self.found.append(Import(call.lineno, EntryPointGroup(group.value, point)))

    def _entry_points_of(self, call: ast.Call, names: set[str]) -> None:
        """Takes the groups that the source picks from the attribute `entry_points` of distributions."""
        used = (each.attr == "entry_points" for each in self.names.of({ast.Attribute}))
        if not names.isdisjoint(_DISTRIBUTIONS) and any(used):
            for group in tuple(self._selected()) or (Text(ANY),):
                self.found.append(Import(call.lineno, EntryPointGroup(group.value)))

    def _selected(self) -> Iterator[Text]:
        """Yields the groups that the source picks from all entry points."""
        for node in walk(self.names.tree):
            match node:
                case ast.Subscript(value=points, slice=group) if self._is_points(points):
                    yield from self.names.texts(group)
                case ast.Call(func=ast.Attribute(value=points, attr="get" | "select")) if self._is_points(
                    points
                ):
                    yield from self.names.texts(argument_of(node, 0, "group"))
                case ast.Compare(left=ast.Attribute(attr="group"), comparators=[group]):
                    yield from self.names.texts(group)
                case _:
                    continue

    def _is_points(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Attribute) and node.attr == "entry_points":
            return True
        nodes = self.names.bindings(node.id) if isinstance(node, ast.Name) else [node]
        calls = (each for each in nodes if isinstance(each, ast.Call))
        return any(not self.calls.qualified(each.func).isdisjoint(_ENTRY_POINTS) for each in calls)

    def _distribution(self, call: ast.Call) -> None:
        keyword = next((each.arg for each in call.keywords if each.arg), "distribution_name")
        last = last_name(call.func)
        given = call.args if last == "require" else [argument_of(call, 0, keyword)]
        texts = [text for each in given if each for text in self.names.texts(each)]
        known = (_REQUIRED.match(each.value) for each in texts if each.whole and not each.own)
        self.found += (Import(call.lineno, DistributionName(each[0])) for each in known if each)
        if texts and last != "distributions" and not any(each.whole or each.own for each in texts):
            self.asked.append(call)


def _is_plugin_manager(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "load_setuptools_entrypoints"
