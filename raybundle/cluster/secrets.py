"""Reads references to secrets, which nodes resolve, and refuses secrets in environment variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raybundle.cluster.runtime_env import owned
from raybundle.errors import UsageError
from raybundle.formats.credentials import has_password

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOO_EARLY = re.compile(r"PATH|(RAY_|PYTHON|LD_|DYLD_).*")
"""Variables that Ray, Python and the loader read before the boot can set them."""
_REFUSED_IN_PATHS = re.compile(r"[\x00-\x1f\x7f$\ud800-\udfff]")
"""Ray expands `$NAME` in variables; JSON and the list of secrets cannot represent the others."""
_HOW = "use `--secret NAME=file:PATH` or `--secret NAME=env:OTHER`: each node reads the value itself"

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
_SHAPES = re.compile(
    r"""  -----BEGIN\ [A-Z ]*PRIVATE\ KEY
      | (?<![A-Za-z0-9])(
            (AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])        # AWS
          | gh[opsur]_[A-Za-z0-9]{36}                     # GitHub
          | github_pat_[A-Za-z0-9_]{22}
          | glpat-[A-Za-z0-9_-]{20}                       # GitLab
          | hf_[A-Za-z0-9]{30}                            # Hugging Face
          | xox[abeoprs]-[A-Za-z0-9-]{10}                 # Slack
          | sk-([A-Za-z0-9]+-)*[A-Za-z0-9]{20}            # OpenAI and those who follow it
          | sk-(?=[\w-]*[A-Z])(?=[\w-]*[0-9])[\w-]{20}
          | AIza[A-Za-z0-9_-]{35}                         # Google
          | eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.                  # a JSON web token
        )
    """,
    re.VERBOSE,
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


def looks_secret(name: str, value: str) -> bool:
    """Claims that an environment variable holds a secret, judged by its name and its value."""
    if _SHAPES.search(value) or has_password(value):
        return True
    return bool(_NAME_OF_SECRET.search(name)) and len(value) >= SHORTEST and not _is_harmless(value)


def _is_harmless(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return _HARMLESS.fullmatch(value) is not None
    return True
