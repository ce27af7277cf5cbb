"""Writes raybundle/bundle/secrets/rules.json: the scanner's rules that count, and what each needs in a file.

    python scripts/secret_rules.py DIRECTORY…       # ordinary code, to measure how rare a text is

A rule counts if every match of it holds one of a few texts that ordinary code rarely has: a file without any
of them need not be scanned, and the scanner need not be loaded. The texts follow from the rule's expression.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    import re._constants as codes
    import re._parser as parser
else:
    import sre_constants as codes
    import sre_parse as parser

from raybundle.bundle.secrets.rules import CREDENTIAL_URI, TABLE, is_in, rule_name

if TYPE_CHECKING:
    from collections.abc import Iterable

RARE = 0.002
"""Share of ordinary Python files that may hold a text of a rule."""
MOST = 64
"""Texts that are followed through one expression."""
LONGEST_REPEAT = 12
LONGEST = 20
"""Characters of a text that are kept: they suffice, and the table does not look like a secret itself."""

CHOSEN = {
    "aws-access-token": ["AKIA", "ASIA", "ABIA", "ACCA", "A3T"],
    "weights-and-biases-api-key": ["~wandb", "~weightsandbiases"],
    "azure-storage-account-key": ["~accountkey"],
    "vault-service-token": ["hvs."],
    "sendgrid-api-token": ["SG."],
    "jwt": ["eyJ"],
}
"""Less rare, or narrower than the rule: only files with one of these count. `~`: in any case."""
LEFT_OUT = {
    "brave-search-api-key",  # found in compressed scripts
    # Texts that ordinary code has: `1001.`, `monday`, `checkout`, ten times `a`.
    *("zoho-zapi-key", "typeform-api-token", "etsy-open-api-key", "lark-app-secret", "monday-api-token"),
    *("checkout-secret-key", "octopus-deploy-api-key", "instantly-api-key", "lighton-paradigm-api-key"),
    *("dropbox-long-lived-api-token", "freemius-secret-key", "atlassian-api-token"),
}


def texts_of(expression: str) -> tuple[list[str], bool] | None:
    """Returns texts of which each match holds at least one, and whether in any case; None if none follow."""
    pattern, flags, folded = _as_python(expression)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parsed: Any = parser.parse(pattern, flags)
        found = _needed(list(parsed))
    return (sorted(set(found)), folded) if found else None


def _as_python(pattern: str) -> tuple[str, int, bool]:
    for theirs, ours in {
        "\\z": "\\Z", "[[:alnum:]]": "[A-Za-z0-9]", "[:alnum:]": "A-Za-z0-9", "[:xdigit:]": "A-Fa-f0-9"
    }.items():  # fmt: skip
        pattern = pattern.replace(theirs, ours)
    flags = 0
    while match := re.match(r"\(\?([a-z]+)\)", pattern):
        flags |= re.VERBOSE if "x" in match[1] else 0
        flags |= re.IGNORECASE if "i" in match[1] else 0
        pattern = pattern[match.end() :]
    folded = bool(flags & re.IGNORECASE) or "(?i" in pattern or "(?-i" in pattern
    return re.sub(r"\(\?(?:i|-i|s|is|si):", "(?:", pattern.replace("(?i)", "")), flags, folded


def _needed(nodes: list[Any]) -> list[str] | None:
    candidates: list[list[str] | None] = []
    run: list[str] = [""]
    before: list[Any] = []
    for node in nodes:
        exact = _exact(node)
        if exact is not None and len(run) * len(exact) <= MOST:
            run, before = [a + b for a, b in product(run, exact)], [*before, node]
            continue
        candidates += [run, _inside(node, before)]
        run, before = (exact, [node]) if exact is not None else ([""], [])
    candidates.append(run)
    useful = [each for each in candidates if each and min(map(len, each)) > 0]
    return max(useful, key=lambda texts: (min(8, *map(len, texts)), -len(texts)), default=None)


def _inside(node: Any, before: list[Any]) -> list[str] | None:
    kind, value = node
    if kind is codes.SUBPATTERN:
        return _needed(before + list(value[3]))
    if kind is codes.BRANCH:
        branches = [_needed(before + list(branch)) for branch in value[1]]
        return [text for branch in branches for text in branch or ()] if all(branches) else None
    if kind in (codes.MAX_REPEAT, codes.MIN_REPEAT) and value[0] >= 1:
        return _needed(list(value[2]))
    return None


def _exact(node: Any) -> list[str] | None:
    """Returns all strings that a part of an expression matches, if they are few."""
    kind, value = node
    if kind is codes.LITERAL:
        return [chr(value)]
    if kind is codes.IN and all(each[0] is codes.LITERAL for each in value) and len(value) <= 4:
        return [chr(each[1]) for each in value]
    if kind is codes.SUBPATTERN:
        return _exact_of(value[3])
    if kind is codes.BRANCH:
        branches = [_exact_of(branch) for branch in value[1]]
        texts = [text for branch in branches for text in branch or ()]
        return texts if None not in branches and len(texts) <= MOST else None
    if kind in (codes.MAX_REPEAT, codes.MIN_REPEAT) and value[0] == value[1] <= LONGEST_REPEAT:
        return _exact_of(list(value[2]) * value[0])
    return [""] if kind in (codes.AT, codes.ASSERT, codes.ASSERT_NOT) else None


def _exact_of(nodes: Iterable[Any]) -> list[str] | None:
    texts = [""]
    for node in nodes:
        exact = _exact(node)
        if exact is None or len(texts) * len(exact) > MOST:
            return None
        texts = [a + b for a, b in product(texts, exact)]
    return texts


def catalogue() -> dict[str, list[str]]:
    """Returns the texts that each visible rule of the installed scanner needs, `~` where in any case."""
    from kingfisher_sdk import Rules  # noqa: PLC0415 - the tests import this file without it

    rules = Rules()
    found: dict[str, list[str]] = {}
    for each in rules.metadata():
        texts = texts_of(rules.detail(each["id"])["detection_regex"]) if each["visible"] else None
        name = rule_name(each["id"])
        if texts and name not in CHOSEN:
            strings = [f"~{text.lower()}" for text in texts[0]] if texts[1] else texts[0]
            found[name] = sorted({*found.get(name, ()), *(text[:LONGEST] for text in strings)})
        elif each["visible"] and name not in CHOSEN:
            found[name] = [""]
    return found


def main(directories: list[str]) -> None:
    files = [file.read_bytes() for each in directories for file in Path(each).rglob("*.py") if file.is_file()]
    pairs = [(data, data.lower()) for data in files]
    table = dict(CHOSEN)
    for name, texts in catalogue().items():
        share = sum(any(is_in(text, *pair) for text in texts) for pair in pairs) / len(pairs)
        if share <= RARE and name not in {*LEFT_OUT, CREDENTIAL_URI}:
            table[name] = texts
    lines = [f"{json.dumps(name)}: {json.dumps(table[name])}" for name in sorted(table)]
    TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(f"{len(table)} rules, measured over {len(files)} files")


if __name__ == "__main__":
    main(sys.argv[1:])
