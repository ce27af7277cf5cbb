"""Reads a runtime_env of Ray from a YAML file or from JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from raybundle.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a mapping",
}


def read_yaml(file: Path, option: str) -> tuple[Any, dict[str, int]]:
    """Returns what a YAML file says, and the lines of its top-level keys.

    Raises:
        UsageError: it cannot be read; the message shows no content, which may hold secrets.
    """
    import yaml  # noqa: PLC0415 - 20 ms that a command without such a file does not pay

    try:
        text = file.read_text("utf-8")
        value, node = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise UsageError(f"{option}: cannot read it: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{option}{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{option}: not YAML: {str(error).splitlines()[0]}") from error
    entries = node.value if isinstance(node, yaml.MappingNode) else []
    return value, {key.value: key.start_mark.line + 1 for key, _ in entries if isinstance(key.value, str)}


def read_json(text: str, option: str) -> Any:
    """Returns what a JSON text says.

    Raises:
        UsageError: it is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise UsageError(f"{option}: not JSON: {error.msg} at {place}") from error


def mapping(value: Any, option: str) -> dict[Any, Any]:
    """Returns a runtime_env; an empty file asks for nothing.

    Raises:
        UsageError: the value is not a mapping.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UsageError(f"{option}: a runtime_env is a mapping, and this is {kind_of(value)}")
    return value


def kind_of(value: Any) -> str:
    """Returns what a value is, in the words of YAML and JSON."""
    return _KINDS.get(type(value), type(value).__name__)
