"""Reads which applications of Ray Serve are wanted, from import paths or from a configuration file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cluster.serve import bundle_of
from raybundle.errors import UsageError
from raybundle.formats.yaml_nodes import read_yaml
from raybundle.pipeline.kuberay import refuse_own

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FILES = (".yaml", ".yml", ".json")
_MODULE = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_PATH = "name MODULE:ATTRIBUTE, such as `app:graph`, or a configuration file"
_NAMING = "`applications` of a configuration file have a name and a route each"


@dataclass(frozen=True, slots=True)
class Entry:
    """One application of a configuration."""

    values: Mapping[str, Any]
    """Keys of Serve's ServeApplicationSchema, as the user wrote them."""
    where: str
    """Names it in errors."""
    named: bool
    """The user has named it."""

    @property
    def name(self) -> str:
        """Its name; Serve's own default if it has none."""
        return str(self.values.get("name") or "default")

    @property
    def module(self) -> str:
        """The module that Serve imports."""
        return _split(self.values["import_path"])[0]

    @property
    def attribute(self) -> str:
        """What Serve takes from the module: the application, or a function that returns it."""
        return _split(self.values["import_path"])[1]

    @property
    def bundle(self) -> str | None:
        """The digest of the bundle that it has already."""
        return bundle_of(self.values.get("runtime_env") or {})


@dataclass(frozen=True, slots=True)
class Wanted:
    """Applications that are to run, and what else a configuration says."""

    entries: tuple[Entry, ...]
    others: Mapping[str, Any]
    """Keys of Serve's ServeDeploySchema beside `applications`."""
    is_file: bool = False


def read_wanted(words: Sequence[str], name: str | None = None, route_prefix: str | None = None) -> Wanted:
    """Returns the applications that the words of a command ask for.

    Args:
        words: `MODULE:ATTRIBUTE`, several of them, or one and `KEY=VALUE` for its builder; or one file.
        name: of the one application.
        route_prefix: of the one application.

    Raises:
        UsageError: they name no application, or an option has no effect.
    """
    if not words:
        raise UsageError("no application", hint=_PATH)
    if words[0].endswith(_FILES) or Path(words[0]).is_file():
        if words[1:]:
            raise UsageError(f"`{words[1]}` stands after a configuration file", hint=_NAMING)
        if name is not None or route_prefix is not None:
            raise UsageError("--name and --route-prefix are for one MODULE:ATTRIBUTE", hint=_NAMING)
        return _from_file(Path(words[0]))
    paths = [word for word in words if "=" not in word]
    pairs = [word.partition("=") for word in words if "=" in word]
    if len(paths) != 1 and (pairs or name is not None or route_prefix is not None):
        raise UsageError("--name, --route-prefix and KEY=VALUE are for one MODULE:ATTRIBUTE", hint=_NAMING)
    names = [name or "default"] if len(paths) == 1 else _names(paths)
    prefixes = [route_prefix or "/"] if len(paths) == 1 else [f"/{each}" for each in names]
    arguments = {"args": {key: value for key, _, value in pairs}} if pairs else {}
    entries = tuple(
        Entry(
            {"name": each, "route_prefix": prefix, "import_path": path, **arguments}, path, name is not None
        )
        for path, each, prefix in zip(paths, names, prefixes, strict=True)
    )
    for each in entries:
        _split(each.values["import_path"])
    return Wanted(entries, {})


def _names(paths: Sequence[str]) -> list[str]:
    """Returns a name for each application: the last part of its module, which stays if others are added."""
    names = [_split(path)[0].rpartition(".")[2] for path in paths]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise UsageError(f"several applications would be called {', '.join(twice)}", hint=_NAMING)
    return names


def _split(path: object) -> tuple[str, str]:
    """Returns module and attribute of an import path, as Serve reads it: `a.b:c`, or `a.b.c`."""
    text = path if isinstance(path, str) else ""
    module, _, attribute = text.partition(":") if ":" in text else text.rpartition(".")
    if not (_MODULE.fullmatch(module) and _MODULE.fullmatch(attribute)):
        raise UsageError(f"{path!r} is not the import path of an application", hint=_PATH)
    return module, attribute


def _from_file(file: Path) -> Wanted:
    if file.suffix == ".json":
        document = _read_json(file)
    else:
        _, document = read_yaml(file, str(file))
    applications = document.get("applications") if isinstance(document, dict) else None
    if not isinstance(applications, list) or not all(isinstance(each, dict) for each in applications):
        raise UsageError(f"{file}: it has no `applications`", hint="write it as Ray's `serve build` does")
    entries = []
    for number, values in enumerate(applications, 1):
        where = f"{file}: application {values.get('name', number)!r}"
        _split(values.get("import_path"))
        entry = Entry(values, where, "name" in values)
        if entry.bundle is None:
            refuse_own(values, where)
        for each in values.get("deployments") or ():
            refuse_own(each, where)
        entries.append(entry)
    names = [each.name for each in entries]
    if twice := sorted({each for each in names if names.count(each) > 1}):
        raise UsageError(f"{file}: several applications are called {', '.join(twice)}")
    others = {key: value for key, value in document.items() if key != "applications"}
    return Wanted(tuple(entries), others, is_file=True)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{file}: cannot read it: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{file}: not JSON: {error}") from error
