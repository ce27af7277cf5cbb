"""Tells which content rules a file may break, without the scanner; `scripts/secret_rules.py` has why."""

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
"""Rule by rule: the texts of which each file that breaks it holds one; `~` stands for any case."""

CREDENTIAL_URI = "generic-credential-uri"
_CREDENTIALS = rb"://[^:/@\s'\"`]{0,128}:[^/@\s'\"`]{1,256}@"
CREDENTIALS = re.compile(_CREDENTIALS)
"""A user and a password in a URL; every finding of `generic-credential-uri` has them."""
SCHEME = re.compile(
    rb"(?<![A-Za-z0-9.+-])"
    rb"(?:[a-z]{2,16}\+[a-z0-9_]{2,24}|mssql|oracle|snowflake|clickhouses?|trino|redshift|vertica|sqlserver|sftp)"
    rb"(?=" + _CREDENTIALS + rb")",
    re.IGNORECASE,
)
"""The scheme of such a URL where the scanner does not know it: `postgresql+psycopg2`."""

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
"""Rules of the scanner that find the same tokens under two names."""


def rule_name(identifier: str) -> str:
    """Returns our name of a rule of the scanner: `slack-bot-token` for `betterleaks.slack-bot-token.1`."""
    name = _PREFIX.sub("", identifier)
    return _ALIASES.get(name, name)


def is_in(text: str, data: bytes, lowered: bytes) -> bool:
    """Claims that a file holds a text of the table."""
    return text[1:].encode() in lowered if text.startswith("~") else text.encode() in data


@dataclass(frozen=True, slots=True)
class RuleTable:
    """The content rules that count."""

    texts: dict[str, list[str]]
    names: frozenset[str]
    sha256: str
    exact: tuple[bytes, ...]
    folded: tuple[bytes, ...]
    separators: bytes
    """A table for `bytes.translate`: each byte that no text holds becomes a space."""

    def suspects(self, files: Sequence[bytes]) -> list[bool]:
        """Claims of each file that it may break a rule; in the others, no rule that counts finds anything.

        All at once, for code repeats its words: each text is looked for among the words of all files.
        """
        words = set(b" ".join(files).translate(self.separators).split())
        text = b" ".join(words)
        exact = [each for each in self.exact if each in text]
        text = text.lower()
        folded = [each for each in self.folded if each in text]
        return [_holds_one(each, exact, folded) for each in files]

    def may_break(self, rule: str, data: bytes) -> bool:
        """Claims that a file may break this rule; a finding elsewhere does not count."""
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
def rule_table() -> RuleTable:
    """Returns the table, read once."""
    data = TABLE.read_bytes()
    texts: dict[str, list[str]] = json.loads(data)
    every = {text for each in texts.values() for text in each}
    folded = tuple(sorted(text[1:].encode() for text in every if text.startswith("~")))
    exact = tuple(sorted(text.encode() for text in every if not text.startswith("~")))
    used = {*b"".join(exact), *b"".join(folded), *b"".join(folded).upper()}
    return RuleTable(
        texts,
        frozenset([*texts, CREDENTIAL_URI]),
        hashlib.sha256(data).hexdigest(),
        exact,
        folded,
        bytes(byte if byte in used else ord(" ") for byte in range(256)),
    )
