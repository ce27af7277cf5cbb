"""Reads the runtime_env that the options of `ray job submit` give, with the place of each key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.errors import UsageError
from raybundle.model import Warning

if TYPE_CHECKING:
    from collections.abc import Mapping

_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


@dataclass(frozen=True, slots=True)
class Source:
    """An option, and the lines of the keys in the file that it names."""

    option: str
    file: Path | None = None
    lines: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults of a runtime_env and their hints, which are reported together."""

    lines: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)

    def refuse_any(self) -> None:
        """Raises UsageError if there are any."""
        if self.lines:
            raise UsageError("\n".join(self.lines), hint="\nhint: ".join(dict.fromkeys(self.hints)))


@dataclass(frozen=True, slots=True)
class Key:
    """One key of the runtime_env, and its value."""

    name: str
    value: Any
    source: Source
    cwd: Path
    faults: Faults

    def reject(self, what: str, hint: str = "remove it", below: str = "") -> None:
        """Notes a fault of the value, or of what it has at `below`."""
        name = f"{self.name}.{below}" if below else self.name
        line = self.source.lines.get(self.name)
        place = self.source.option if line is None else f"{self.source.option}:{line}"
        self.faults.lines.append(f"{place}: `{name}` {what}")
        self.faults.hints.append(hint)

    def warning(self, text: str, hint: str) -> Warning:
        """Returns a warning about the key."""
        file, line = self.source.file, self.source.lines.get(self.name)
        return Warning(text if file else f"{self.source.option}: {text}", file, line, hint)


def read_given(
    runtime_env: str | None, text: str | None, cwd: Path, named: str | None = None
) -> tuple[Source, dict[Any, Any]]:
    """Returns the runtime_env that the options give; `named` says where the text is from if it is no option.

    Raises:
        UsageError: both options are given, or the value cannot be read or is not a mapping.
    """
    if runtime_env is not None and text is not None:
        raise UsageError("both --runtime-env and --runtime-env-json are given", hint="keep one of them")
    if runtime_env is not None:
        option = f"--runtime-env {runtime_env}"
        value, lines = read_keys(cwd / runtime_env, option)
        return Source(option, Path(runtime_env), lines), _mapping(value, option)
    if named is not None and text is not None:
        return Source(named), _mapping(json.loads(text), named)
    option = "--runtime-env-json"
    return Source(option), _mapping(_read_json(text, option) if text is not None else None, option)


def read_keys(file: Path, option: str) -> tuple[Any, dict[str, int]]:
    """Returns the content of a YAML file, and the lines of its top-level keys.

    Raises:
        UsageError: it cannot be read. The message shows none of its content, which may be secret.
    """
    from raybundle.formats.yaml_nodes import read_yaml  # noqa: PLC0415 - 20 ms that other commands do not pay

    node, value = read_yaml(file, option)
    entries = node.value if node is not None and isinstance(value, dict) else []
    return value, {key.value: key.start_mark.line + 1 for key, _ in entries if isinstance(key.value, str)}


def _read_json(text: str, option: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{option}: not JSON: {error.msg} at {place}") from error


def _mapping(value: Any, option: str) -> dict[Any, Any]:
    """Returns a runtime_env; an absent one and an empty file ask for nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{option}: a runtime_env is a mapping, and this is {kind_of(value)}")
    return value


def kind_of(value: Any) -> str:
    """Returns what a value is, in a user's words."""
    return _KINDS.get(type(value), type(value).__name__)
