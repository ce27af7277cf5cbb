"""Tells without the scanner which content rules a file may break (table: `scripts/secret_rules.py`)."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE = Path(__file__).with_name("rules.json")
"""The texts of each rule: a file that breaks the rule contains one of them. `~` means in any case."""

CREDENTIAL_URI = "generic-credential-uri"
_CREDENTIALS = rb"://[^:/@\s'\"`]{0,128}:[^/@\s'\"`]{1,256}@"
CREDENTIALS = re.compile(_CREDENTIALS)
"""A user and a password in a URL: in every finding of `generic-credential-uri`."""
SCHEME = re.compile(
    rb"(?<![A-Za-z0-9.+-])"
    rb"(?:[a-z]{2,16}\+[a-z0-9_]{2,24}|mssql|oracle|snowflake|clickhouses?|trino|redshift|vertica|sqlserver|sftp)"
    rb"(?=" + _CREDENTIALS + rb")",
    re.IGNORECASE,
)
"""The scheme of such a URL, if the scanner does not know it: `postgresql+psycopg2`."""

_PREFIX = re.compile(r"^(betterleaks\.|veles\.secrets/)|\.\d+$")
_ALIASES = {
    "denopatorg": "deno-account-token",
    "digitaloceanapikey": "digitalocean-pat",
    "grokxaiapikey": "xai-api-key",
    "herokuplatformkey": "heroku-api-key-v2",
    "npmjsaccesstoken": "npm-access-token",
    "openrouter": "openrouter-api-key",
    "postmanapikey": "postman-api-token",
    "sendgrid": "sendgrid-api-token",
    "slackappconfigaccesstoken": "slack-config-access-token",
    "slackappconfigrefreshtoken": "slack-config-refresh-token",
    "slackappleveltoken": "slack-app-token",
}
"""The scanner has two names for these rules, which find the same tokens."""


def rule_name(identifier: str) -> str:
    """Returns the short name of a scanner's rule: `slack-bot-token` for `betterleaks.slack-bot-token.1`."""
    name = _PREFIX.sub("", identifier)
    return _ALIASES.get(name, name)


def is_in(text: str, data: bytes, lowered: bytes) -> bool:
    """Returns whether a file contains a text of the table; `lowered` is `data` in lower case."""
    return text[1:].encode() in lowered if text.startswith("~") else text.encode() in data


@dataclass(frozen=True, slots=True)
class RuleTable:
    """The content rules that can stop a build."""

    texts: dict[str, list[str]]
    names: frozenset[str]
    exact: tuple[bytes, ...]
    """The texts that only count as they are."""
    folded: tuple[bytes, ...]
    """The texts that count in any case, in lower case."""
    separators: bytes
    """A table for `bytes.translate`: each byte that is in no text becomes a space."""

    def suspects(self, files: Sequence[bytes]) -> list[bool]:
        """Returns for each file whether it may break a rule. The others cannot break one.

        Each text is first searched among the different words of all files, because code repeats its words.
        """
        words = set(b" ".join(files).translate(self.separators).split())
        text = b" ".join(words)
        exact = [each for each in self.exact if each in text]
        text = text.lower()
        folded = [each for each in self.folded if each in text]
        return [_holds_one(each, exact, folded) for each in files]

    def may_break(self, rule: str, data: bytes) -> bool:
        """Returns whether a file may break `rule`. A finding of the rule in any other file is a mistake."""
        if rule == CREDENTIAL_URI:
            return CREDENTIALS.search(data) is not None
        lowered = data.lower()
        return any(is_in(text, data, lowered) for text in self.texts.get(rule, ()))


def _holds_one(data: bytes, exact: list[bytes], folded: list[bytes]) -> bool:
    if any(text in data for text in exact):
        return True
    if folded:
        lowered = data.lower()
        if any(text in lowered for text in folded):
            return True
    return b"://" in data and CREDENTIALS.search(data) is not None


@lru_cache(maxsize=1)
def rules_sha256() -> str:
    """Returns the digest of the rules: a file that is known by it needs no table."""
    return hashlib.sha256(TABLE.read_bytes()).hexdigest()


@lru_cache(maxsize=1)
def rule_table() -> RuleTable:
    """Returns the table; it is read once per process."""
    texts: dict[str, list[str]] = json.loads(TABLE.read_bytes())
    every = {text for each in texts.values() for text in each}
    folded = tuple(sorted(text[1:].encode() for text in every if text.startswith("~")))
    exact = tuple(sorted(text.encode() for text in every if not text.startswith("~")))
    used = {*b"".join(exact), *b"".join(folded), *b"".join(folded).upper()}
    return RuleTable(
        texts,
        frozenset([*texts, CREDENTIAL_URI]),
        exact,
        folded,
        bytes(byte if byte in used else ord(" ") for byte in range(256)),
    )
