"""Reads the settings and their sources: flag > environment > profile > project > user file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from raybundle.directories import user_directory
from raybundle.errors import UsageError
from raybundle.formats.amounts import parse_size
from raybundle.formats.credentials import has_token, without_credentials
from raybundle.formats.nearest import did_you_mean
from raybundle.formats.toml import read_toml, table_of
from raybundle.model import FOUND_BY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Kind = Literal["text", "list", "table", "switches", "number", "size", "claim"]

KEYS: dict[str, Kind] = {
    "store": "text",
    "address": "text",
    "name": "text",
    "roots": "list",
    "include": "list",
    "exclude": "list",
    "data": "text",
    "rules": "switches",
    "allow-secrets": "list",
    "dependencies": "text",
    "cluster-provides": "list",
    "optional": "list",
    "env": "table",
    "python": "text",
    "platform": "text",
    "max-bytes": "size",
    "max-distributions": "number",
    "forbid": "list",
    "record-env": "list",
    "require-signature": "claim",
    "trusted-keys": "list",
}
"""The settings by the names that they have in files."""

PROJECT_ONLY = frozenset(["allow-secrets"])
"""Settings that only the project's own file may have, where everyone who works on it can review them."""

OTHER_VARIABLES = (
    *("PROFILE", "LOCAL_STATE", "VERIFY", "CLIENT_CERT", "CLIENT_KEY", "CACHE_BYTES", "CI", "PURE"),
)
"""Variables `RAYBUNDLE_*` that are no settings; docs/configuration.md says what each is."""
OF_A_JOB = "RAYBUNDLE_DIGEST"
"""Set in every process of a job, beside other variables of the boot."""
OF_THE_TESTS = "RAYBUNDLE_TEST_"
"""Begins the variables of raybundle's own tests."""

API_VARIABLE, CLUSTER_VARIABLE = "RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"
"""Ray's own variables, read last; the second may name an address that is not a dashboard."""

RUNNING = "the running Python"
"""The source of a `python` that is not chosen: a function is pickled by the Python that it is in."""

SWITCHES = frozenset([*FOUND_BY, "data", "path"]) - {"import", "include", "comment", "trace"}
"""Names in `rules`: ways by which a module reaches another, package data, and files named by path."""

BRINGS = ("bundle", "cluster")
"""Values of `dependencies`: who provides the distributions that `cluster-provides` does not name."""

DATA = ("needed", "tracked")
"""Values of `data`: the files that code names, or all files that git does not ignore."""

_DISTRIBUTION = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
"""The name of a distribution (PEP 508)."""

Value = str | tuple[str, ...] | dict[str, str] | dict[str, bool]


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and its source, such as `RAYBUNDLE_STORE` or `pyproject.toml [tool.raybundle]`."""

    value: Value
    source: str


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; `found` has only those that are set."""

    found: Mapping[str, Setting]

    def text(self, key: str) -> str | None:
        """Returns the value of a text setting."""
        value = self.found[key].value if key in self.found else None
        return value if isinstance(value, str) else None

    def items(self, key: str) -> tuple[str, ...]:
        """Returns the values of a list setting."""
        value = self.found[key].value if key in self.found else ()
        return value if isinstance(value, tuple) else ()

    def number(self, key: str) -> int | None:
        """Returns the value of a setting that is a number; a size is in bytes."""
        value = self.text(key)
        if value is None:
            return None
        return parse_size(value) if KEYS[key] == "size" else int(value)

    def source(self, key: str) -> str:
        """Returns where a setting comes from; empty if it is not set."""
        return self.found[key].source if key in self.found else ""

    def is_on(self, key: str) -> bool:
        """Returns whether a setting is true."""
        return self.text(key) == "true"

    def table(self, key: str) -> dict[str, str]:
        """Returns the pairs of a table setting."""
        return {name: str(each) for name, each in self._pairs(key).items()}

    def switched_off(self, key: str) -> frozenset[str]:
        """Returns the names that a setting of switches turns off."""
        return frozenset(name for name, on in self._pairs(key).items() if on is False)

    def _pairs(self, key: str) -> Mapping[str, str | bool]:
        value = self.found[key].value if key in self.found else {}
        return value if isinstance(value, dict) else {}

    def extended(self, key: str, items: Sequence[str], source: str) -> Settings:
        """Returns these settings with more items of a list setting."""
        if not items:
            return self
        before = self.found[key].source + ", " if key in self.found else ""
        value = (*self.items(key), *items)
        return Settings({**self.found, key: Setting(value, before + source)})

    def with_default(self, key: str, value: str, source: str) -> Settings:
        """Returns these settings with the value of a text setting that nothing else sets."""
        return self if key in self.found else Settings({**self.found, key: Setting(value, source)})


_SPELT = {"true": True, "on": True, "false": False, "off": False}


def load_settings(
    flags: Mapping[str, Any], environ: Mapping[str, str], project: Path, profile: str | None = None
) -> Settings:
    """Returns the settings for a project.

    Args:
        flags: values on the command line, by key; None if not given.
        environ: environment variables.
        project: directory that may hold a pyproject.toml.
        profile: name of a profile; else `RAYBUNDLE_PROFILE`.

    Raises:
        UsageError: a key is unknown, a value has the wrong type, or a file cannot be read.
    """
    found: dict[str, Setting] = {}
    _refuse_unknown_variables(environ)
    for source, values in _sources(flags, environ, project, profile or environ.get("RAYBUNDLE_PROFILE")):
        for key, raw in values.items():
            if key in PROJECT_ONLY and source != project_source(project):
                raise UsageError(
                    f"`{key}` in {source}: only the project itself may set it",
                    hint=f"write it into {project_source(project)}",
                )
            value = _checked(key, raw, source)
            if isinstance(value, dict) and key in found:
                found[key] = _merged(found[key], Setting(value, source))
            found.setdefault(key, Setting(value, source))
    _refuse_unsupported(found)
    return Settings(found)


def dashboard_address(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Returns the configured address; None means the embedded cluster.

    Raises:
        UsageError: the only address is RAY_ADDRESS, and it is not the URL of a dashboard.
    """
    address = settings.text("address")
    other = environ.get(CLUSTER_VARIABLE, "")
    if address is None and other not in ("", "local"):
        raise UsageError(
            f"{CLUSTER_VARIABLE} is {without_credentials(other)!r}, which is not the URL of a dashboard",
            hint=f"give --address or {API_VARIABLE}, such as http://127.0.0.1:8265; "
            f"{CLUSTER_VARIABLE}=local means the cluster on this machine",
        )
    return address


def project_source(project: Path) -> str:
    """Returns the name of the project's own settings as a source."""
    return f"{project / 'pyproject.toml'} [tool.raybundle]"


def user_file(environ: Mapping[str, str]) -> Path:
    """Returns the path of the user's configuration file."""
    return user_directory(environ, "XDG_CONFIG_HOME", ".config") / "raybundle" / "config.toml"


def default_store(environ: Mapping[str, str]) -> str:
    """Returns the local directory that is the store if none is configured."""
    return str(user_directory(environ, "XDG_DATA_HOME", ".local/share") / "raybundle" / "store")


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Returns the directory of files that can be computed again."""
    return user_directory(environ, "XDG_CACHE_HOME", ".cache") / "raybundle"


def _sources(
    flags: Mapping[str, Any], environ: Mapping[str, str], project: Path, profile: str | None
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields the sources by name with what each sets; an earlier one counts more."""
    file = user_file(environ)
    user, profiles = _read(file)
    own, own_profiles = _read(project / "pyproject.toml", "tool", "raybundle")
    profiles |= own_profiles
    yield "flag", {key: value for key, value in flags.items() if value not in (None, [], {}, ())}
    for key in KEYS:
        variable = _variable(key)
        if environ.get(variable):
            yield variable, {key: _from_text(key, environ[variable])}
    if profile is not None:
        if profile not in profiles:
            raise UsageError(f"there is no profile {profile!r}", hint=did_you_mean(profile, profiles))
        yield f"profile {profile}", profiles[profile]
    yield project_source(project), own
    yield str(file), user
    if environ.get(API_VARIABLE):
        yield API_VARIABLE, {"address": environ[API_VARIABLE]}
    if environ.get(CLUSTER_VARIABLE, "").startswith(("http://", "https://")):
        yield CLUSTER_VARIABLE, {"address": environ[CLUSTER_VARIABLE]}


def _variable(key: str) -> str:
    return "RAYBUNDLE_" + key.upper().replace("-", "_")


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    """Refuses a variable that is not a setting; a job may submit another, and has variables of the boot."""
    if OF_A_JOB in environ:
        return
    known = {*map(_variable, KEYS), *(f"RAYBUNDLE_{name}" for name in OTHER_VARIABLES)}
    for name in sorted(environ):
        if name.startswith("RAYBUNDLE_") and not name.startswith(OF_THE_TESTS) and name not in known:
            raise UsageError(f"unknown variable {name}", hint=did_you_mean(name, known))


def _read(file: Path, *keys: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Returns the settings at `keys` in a file, and its profiles by name."""
    document = read_toml(file)
    settings = table_of(document, file, *keys)
    settings.pop("profiles", None)
    names = table_of(document, file, *keys, "profiles")
    return settings, {name: table_of(document, file, *keys, "profiles", name) for name in names}


def _from_text(key: str, text: str) -> Any:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    match KEYS[key]:
        case "text" | "number" | "size":
            return text
        case "claim":
            return _SPELT.get(text, text)
        case "list":
            return parts
        case "table":
            return dict(part.partition("=")[::2] for part in parts)
        case "switches":
            return {name: _SPELT.get(on, on) for name, _, on in (part.partition("=") for part in parts)}


def _checked(key: str, raw: Any, source: str) -> Value:
    if key not in KEYS:
        raise UsageError(f"unknown setting `{key}` in {source}", hint=did_you_mean(key, KEYS))
    items = raw if isinstance(raw, (list, tuple)) else [raw]
    if any(isinstance(item, str) and has_token(without_credentials(item)) for item in items):
        raise UsageError(
            f"`{key}` in {source} looks like a secret", hint="remove it: its value is sent, stored and shown"
        )
    match KEYS[key], raw:
        case "text", str():
            return raw
        case "number" | "size" | "claim", _:
            return _checked_plain(key, raw, source)
        case "list", list() | tuple() if all(isinstance(item, str) for item in raw):
            return tuple(raw)
        case "table", dict() if all(isinstance(item, str) for item in raw.values()):
            return dict(raw)
        case "switches", dict():
            return _checked_switches(key, raw, source)
        case "switches", _:
            raise UsageError(f"`{key}` in {source} must be a table of true and false, and is {raw!r}")
        case kind, _:
            raise UsageError(f"`{key}` in {source} must be a {kind} of strings, and is {raw!r}")


def _checked_plain(key: str, raw: Any, source: str) -> str:
    """Returns the text of a number, a size or a claim."""
    if KEYS[key] == "claim":
        if not isinstance(raw, bool):
            raise UsageError(f"`{key}` in {source} must be true or false, and is {raw!r}")
        return str(raw).lower()
    text = str(raw) if isinstance(raw, (int, str)) and not isinstance(raw, bool) else ""
    if (parse_size(text) is not None) if KEYS[key] == "size" else text.isdecimal():
        return text
    example = 'a size such as "50 MiB"' if KEYS[key] == "size" else "a whole number"
    raise UsageError(f"`{key}` in {source} must be {example}, and is {raw!r}")


def _checked_switches(key: str, raw: Mapping[str, Any], source: str) -> dict[str, bool]:
    for name, on in raw.items():
        if name not in SWITCHES:
            raise UsageError(
                f"unknown name `{name}` in `{key}` of {source}", hint=did_you_mean(name, SWITCHES)
            )
        if not isinstance(on, bool):
            raise UsageError(f"`{name}` in `{key}` of {source} must be true or false, and is {on!r}")
    return dict(raw)


def _merged(above: Setting, below: Setting) -> Setting:
    """Returns the union of two tables; a name in both keeps the value from above."""
    if not isinstance(above.value, dict) or not isinstance(below.value, dict):
        return above
    merged: Any = {**below.value, **above.value}
    return Setting(merged, f"{above.source}, {below.source}")


def _refuse_unsupported(found: Mapping[str, Setting]) -> None:
    """Refuses values that cannot be carried out."""
    for key, words in (("dependencies", BRINGS), ("data", DATA)):
        if key in found and found[key].value not in words:
            raise UsageError(
                f"`{key}` in {found[key].source} cannot be {found[key].value!r}",
                hint=f"write {' or '.join(map(repr, words))}",
            )
    for name in found["optional"].value if "optional" in found else ():
        if not all(part.isidentifier() for part in name.split(".")):
            raise UsageError(
                f"{name!r} in `optional` of {found['optional'].source} is not the name of a module",
                hint='write names as in an import, such as "megatron" or "megatron.core"',
            )
    for name in found["cluster-provides"].value if "cluster-provides" in found else ():
        if not _DISTRIBUTION.fullmatch(name):
            source = found["cluster-provides"].source
            raise UsageError(
                f"{name!r} in `cluster-provides` of {source} is not the name of a distribution",
                hint="write names without versions: the cluster must have the version that is installed here",
            )
