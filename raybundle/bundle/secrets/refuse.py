"""Refuses files with secrets, by name and by content. The project may allow some of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.bundle.secrets.rules import rule_table
from raybundle.bundle.secrets.scan import LARGEST, SecretScanner
from raybundle.content import read
from raybundle.errors import SecretError, UsageError
from raybundle.formats.nearest import did_you_mean
from raybundle.model import Warning
from raybundle.resolve.files.secret_names import NAME_RULES, is_public_pem, secret_name_rule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raybundle.cache.documents import Cache
    from raybundle.model import ArchivePath, CollectedFile, Resolution

SETTING = "allow-secrets"
_TITLES = {"generic-credential-uri": "password in a URL", "env-file": "environment file"}
_CAPITALS = frozenset(["api", "aws", "gcp", "hcp", "ibm", "id", "jwt", "npm", "pat", "sts", "uri", "url"])
_SPELT = {
    "github": "GitHub",
    "gitlab": "GitLab",
    "openai": "OpenAI",
    "pypi": "PyPI",
    "huggingface": "Hugging Face",
}


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """The place of a secret in the bundle and the rule that found it, but never the secret itself."""

    path: str
    """Relative to the project; starts with `..` for a file of another root."""
    line: int
    """From 1; 0 if the file's name is the fault."""
    rule: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {_title(self.rule)} (rule {self.rule})"


@dataclass(frozen=True, slots=True)
class Allowance:
    """A rule that files may break, and the pattern of their paths."""

    pattern: str
    rule: str

    def covers(self, fault: Fault) -> bool:
        """Returns whether this allows `fault`."""
        from raybundle.resolve.files.data_files import path_expression  # noqa: PLC0415 - few projects allow any

        return fault.rule == self.rule and path_expression(self.pattern).fullmatch(fault.path) is not None

    def __str__(self) -> str:
        return f"{self.pattern}:{self.rule}"


def parse_allowances(words: Sequence[str]) -> tuple[Allowance, ...]:
    """Parses allowances of the form `path:rule`.

    Raises:
        UsageError: a word has no rule or an unknown one.
    """
    return tuple(_parse(word) for word in words)


def _parse(word: str) -> Allowance:
    pattern, _, rule = word.rpartition(":")
    known = NAME_RULES | rule_table().names
    if not pattern or "/" in rule:
        raise UsageError(
            f"`{word}` in `{SETTING}` names no rule",
            hint="write `path:rule`, as in the error about the secret",
        )
    if rule not in known:
        hint = did_you_mean(rule, known, "the error about the secret names the rule")
        raise UsageError(f"`{word}` in `{SETTING}` names the unknown rule `{rule}`", hint=hint)
    return Allowance(pattern, rule)


def refuse_secrets(
    resolution: Resolution, files: Sequence[CollectedFile], allowed: Sequence[str], cache: Cache
) -> tuple[Warning, ...]:
    """Refuses files that contain secrets, and returns a warning for each needless allowance.

    Raises:
        SecretError: lists the place and rule of every secret, but no value.
        UsageError: an allowance cannot be parsed.
    """
    allowances = parse_allowances(allowed)
    faults = sorted(set(_faults(resolution, files, cache)))
    used = {each for each in allowances if any(each.covers(fault) for fault in faults)}
    left = [fault for fault in faults if not any(each.covers(fault) for each in used)]
    if left:
        raise SecretError(
            "secrets must not travel:\n  " + "\n  ".join(map(str, left)),
            hint="pass secrets by `--secret NAME=file:PATH` or `env:NAME`; `exclude` data files; if it is "
            f'not a secret, allow it: {SETTING} = ["{left[0].path}:{left[0].rule}"] in [tool.raybundle]',
        )
    stale = [each for each in allowances if each not in used and _is_stale(each, resolution)]
    return tuple(Warning(f"`{each}` in `{SETTING}` allows nothing", hint="remove it") for each in stale)


def _is_stale(allowance: Allowance, resolution: Resolution) -> bool:
    """Returns whether an unused allowance is useless for other bundles of the project too."""
    from raybundle.resolve.files.data_files import path_expression  # noqa: PLC0415 - as said

    expression = path_expression(allowance.pattern)
    if any(expression.fullmatch(path) for path in _shown_paths(resolution).values()):
        return True
    return next(resolution.project.glob(allowance.pattern), None) is None


def _faults(resolution: Resolution, files: Sequence[CollectedFile], cache: Cache) -> Iterator[Fault]:
    shown = _shown_paths(resolution)
    scanner = SecretScanner(cache)
    try:
        for file, verdict in zip(files, scanner.verdicts(files), strict=True):
            found = [Fault(shown[file.path], line, rule) for rule, line in verdict]
            yield from found
            named = secret_name_rule(file.path.partition("/")[2])
            if named and all(fault.rule != named for fault in found) and not _is_certificate(file):
                yield Fault(shown[file.path], 0, named)
    finally:
        scanner.save()


def _is_certificate(file: CollectedFile) -> bool:
    return file.path.lower().endswith(".pem") and file.size <= LARGEST and is_public_pem(read(file))


def _shown_paths(resolution: Resolution) -> dict[ArchivePath, str]:
    """Returns the path of each file in errors and allowances, by its archive path."""
    project = f"{resolution.project}/"
    modules = {each.path: str(each.file) for each in resolution.modules if each.file and each.path}
    return {
        path: file[len(project) :] if file.startswith(project) else os.path.relpath(file, project)
        for path, file in {**modules, **{each.path: str(each.file) for each in resolution.data}}.items()
    }


def _title(rule: str) -> str:
    """Returns a readable name of a rule: `AWS access token` for `aws-access-token`."""
    if rule in _TITLES:
        return _TITLES[rule]
    words = rule.split("-")
    return " ".join(_SPELT.get(word, word.upper() if word in _CAPITALS else word) for word in words)
