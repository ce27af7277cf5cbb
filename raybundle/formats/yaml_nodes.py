"""Composes YAML of parts that are written here and of parts that users wrote, which stay as they are."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import yaml

from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
"""What JSON may hold as it is, and YAML may not, or takes for a line break (YAML 1.2, 5.1 and 5.4)."""
_WIDTH = 1 << 30
"""Columns after which a line would be folded."""


def read_yaml(file: Path, option: str) -> tuple[yaml.Node | None, Any]:
    """Returns the document of a YAML file, with each scalar as it is written there, and what it means.

    The two are not the same to every reader: `12:30` is 750 for one, and a text for another.

    Raises:
        UsageError: it cannot be read. The message shows none of its content, which may be secret.
    """
    try:
        text = file.read_text("utf-8")
        return _in_blocks(yaml.compose(text, Loader=yaml.SafeLoader)), yaml.safe_load(text)
    except OSError as error:
        raise UsageError(f"{option}: cannot read it: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{option}{line}: not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UsageError(f"{option}: not YAML: {str(error).splitlines()[0]}") from error


def _in_blocks(node: yaml.Node | None) -> yaml.Node | None:
    """Returns the node without `{}` and `[]` around values: between them, `12:30` would need quotes."""
    if isinstance(node, yaml.CollectionNode):
        node.flow_style = False
        for each in node.value:
            for part in each if isinstance(each, tuple) else (each,):
                _in_blocks(part)
    return node


def child(node: yaml.MappingNode, key: str) -> yaml.Node | None:
    """Returns the value of a key; None if there is none."""
    return next((value for name, value in node.value if name.value == key), None)


def is_mapping(node: yaml.Node | None) -> TypeGuard[yaml.MappingNode]:
    """Returns whether a node has keys."""
    return isinstance(node, yaml.MappingNode)


def put(node: yaml.MappingNode, key: str, value: yaml.Node) -> None:
    """Adds a key, or replaces its value in its place."""
    for index, (name, _) in enumerate(node.value):
        if name.value == key:
            node.value[index] = (name, value)
            return
    node.value.append((_text(key, None), value))


def make_node(value: Any) -> yaml.Node:
    """Returns the node of a mapping, a text, true or false; nodes in it stay as they are.

    Texts are quoted, so that no reader takes one for a number or for `true`. One of several lines is a block.
    """
    match value:
        case dict():
            pairs = [(_text(key, None), make_node(each)) for key, each in value.items()]
            return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=False)
        case str():
            return _text(value, "|" if "\n" in value else '"')
        case bool():
            return yaml.ScalarNode("tag:yaml.org,2002:bool", str(value).lower())
        case _:
            return cast("yaml.Node", value)


def _text(text: str, style: str | None) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style=style)


def yaml_text(node: yaml.Node) -> str:
    """Returns the text of a node; the same for the same node."""
    serialize: Callable[..., str] = yaml.serialize
    return serialize(node, Dumper=yaml.SafeDumper, width=_WIDTH, allow_unicode=True)


def json_in_yaml(value: Any) -> str:
    """Returns JSON that is YAML as well, for every reader of YAML 1.1 and 1.2; it ends with a newline."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
