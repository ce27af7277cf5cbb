"""Reads references to secrets, which nodes resolve, and refuses secrets in environment variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from raybundle.cluster.runtime_env import owned
from raybundle.errors import UsageError
from raybundle.formats.credentials import has_credentials, has_password, has_token
from raybundle.model import Warning

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOO_EARLY = re.compile(r"PATH|(RAY_|PYTHON|LD_|DYLD_).*")
"""Variables that Ray, Python and the loader read before the boot can set them."""
_REFUSED_IN_PATHS = re.compile(r"[\x00-\x1f\x7f$\ud800-\udfff]")
"""Ray expands `$NAME` in variables; JSON and the list of secrets cannot represent the others."""
_HOW = "use `--secret NAME=file:PATH` or `--secret NAME=env:OTHER`: each node reads the value itself"

_INSTALLED = ("runtime_env.pip", "runtime_env.uv", "runtime_env.conda")
"""What Ray installs, from URLs in which a user alone may be a token."""
_FOR_PIP = "write `${NAME}` in its place: Ray's installer takes the value of that variable of the node"

_NAME_OF_SECRET = re.compile(
    r"(SECRET|PASSWD|PASSWORD|PASSPHRASE|TOKEN|CREDENTIALS?|API_?KEY"
    r"|(ACCESS|ACCOUNT|ENCRYPTION|PRIVATE|SECRET|SIGNING|STORAGE)_KEY)(_?\d+)?\Z",
    re.IGNORECASE,
)
"""The end of the name of a secret: the last word says what a variable is (`SECRET_NAME` is a name)."""
SHORTEST = 8
"""Fewest characters of a value that counts as a secret because of its name."""
_HARMLESS = re.compile(
    r"""  (~|\.\.?)?/.*                 # a path
      | [A-Za-z][A-Za-z0-9+.-]*://.*  # a URL: its shape decides
      | arn:.*
      | \$\{\w+\} | \$[A-Z][A-Z0-9_]* # Ray replaces it by a variable of the node
      | <.*> | \[.*\]                 # <|endoftext|>, [MASK], <your token>
    """,
    re.VERBOSE | re.DOTALL,
)


def parse_secrets(words: Sequence[str]) -> dict[str, str]:
    """Returns references (`file:/absolute/path` or `env:OTHER`) by variable, from `NAME=REFERENCE`.

    Raises:
        UsageError: a word is not such a pair. The message shows neither the word nor the part after `=`:
            it may be the secret itself.
    """
    secrets: dict[str, str] = {}
    for number, word in enumerate(words, start=1):
        name, _, reference = word.partition("=")
        # With the padding of base64, a secret would pass as a name.
        if not _NAME.fullmatch(name) or not reference.strip("="):
            raise UsageError(f"`--secret` number {number} has no NAME=REFERENCE", hint=_HOW)
        if owned(name) or _TOO_EARLY.fullmatch(name):
            raise UsageError(f"`--secret {name}=…`: this variable belongs to the bundle, Ray or Python")
        if name in secrets:
            raise UsageError(f"`--secret {name}=…` is given twice")
        if fault := _fault(reference):
            raise UsageError(f"`--secret {name}=…`: {fault}", hint=_HOW)
        secrets[name] = reference
    return secrets


def _fault(reference: str) -> str | None:
    """Returns what is wrong with a reference, without showing it; None if it is valid."""
    scheme, _, place = reference.partition(":")
    if scheme == "env":
        return None if _NAME.fullmatch(place) else "`env:` requires the name of a variable on the nodes"
    if scheme != "file":
        return "expected `file:` or `env:` after the `=`, never the secret itself"
    if not place.startswith("/"):
        return "`file:` requires the absolute path of a file on the nodes"
    if _REFUSED_IN_PATHS.search(place):
        return "the path has a `$`, a control character or bytes that are not UTF-8"
    return None


def refuse_literals(env: Mapping[str, str]) -> None:
    """Refuses environment variables whose name or value looks like a secret.

    Raises:
        UsageError: there are some; the message has their names and no value.
    """
    found = sorted(name for name, value in env.items() if looks_secret(name, value))
    if found:
        raise UsageError(
            f"`env` holds what looks like a secret in {', '.join(found)}: "
            "every client of the cluster's API can read the environment variables of a job",
            hint=_HOW,
        )


def refuse_sent(sent: Mapping[str, Any]) -> None:
    """Refuses secrets anywhere in what the cluster's API shows of a job.

    Args:
        sent: JSON values by name, such as the `runtime_env`.

    Raises:
        UsageError: there are some; the message has their places and no value.
    """
    places = sorted({place for name, value in sent.items() for place in _places(name, name, value)})
    if places:
        installs = any(place.startswith(_INSTALLED) for place in places)
        raise UsageError(
            f"{', '.join(places)} looks like a secret: every client of the cluster's API can read it",
            hint=_FOR_PIP if installs else _HOW,
        )


def _places(place: str, name: str, value: Any) -> Iterator[str]:
    """Yields where in a JSON value a text or a key looks like a secret; `name` is the nearest key."""
    match value:
        case str():
            suspect = has_credentials(value) if place.startswith(_INSTALLED) else False
            if suspect or looks_secret(name, value):
                yield place
        case dict():
            for key, each in value.items():
                hidden = has_token(str(key)) or has_password(str(key))
                if hidden:
                    yield f"a key of {place}"
                yield from _places(place if hidden else f"{place}.{key}", str(key), each)
        case [*items]:
            for each in items:
                yield from _places(place, name, each)


def arguments_warning(arguments: Sequence[str]) -> Warning | None:
    """Returns a warning about arguments of the job that look like secrets; None if none does."""
    found = secret_arguments(arguments)
    if not found:
        return None
    return Warning(
        f"argument {', '.join(map(str, found))} of the job looks like a secret: "
        "every client of the cluster's API can read it",
        hint=_HOW,
    )


def secret_arguments(arguments: Sequence[str]) -> list[int]:
    """Returns the numbers, from 1, of the arguments of the job that look like secrets."""
    found = []
    for number, (argument, before) in enumerate(zip(arguments, ["", *arguments], strict=False), start=1):
        option, equals, value = argument.partition("=")
        pairs = [(option, value)] if equals else []  # `--password=x`, or `db.password=x` as Hydra has it
        if not argument.startswith("-"):
            pairs.append((before if before.startswith("-") else "", argument))
        if any(looks_secret(name.lstrip("-").replace("-", "_"), text) for name, text in pairs):
            found.append(number)
    return found


def looks_secret(name: str, value: str) -> bool:
    """Returns whether an environment variable holds a secret, judged by its name and its value."""
    if has_token(value) or has_password(value):
        return True
    return bool(_NAME_OF_SECRET.search(name)) and len(value) >= SHORTEST and not _is_harmless(value)


def _is_harmless(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return _HARMLESS.fullmatch(value) is not None
    return True
