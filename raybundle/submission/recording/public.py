"""Decides what of a job may be in its record: no value that is, or may be, a secret."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from raybundle.cluster.secrets import looks_secret, secret_arguments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.submission.options import JobOptions

MASK = "…"
"""In place of an argument that looks like a secret."""
_HARMLESS = re.compile(
    r"(?:.*_)?SEED|\w+_NUM_THREADS|PYTHONHASHSEED|CUDA_VISIBLE_DEVICES|TOKENIZERS_PARALLELISM"
    r"|(?:.*_)?LOG_?LEVEL|TZ|LANG|LC_\w+"
)
"""Variables whose values every record has; `record-env` names others."""


def public_facts(options: JobOptions) -> dict[str, Any]:
    """Returns what a record says about a job besides its bundle."""
    env, names = public_env(options.env, options.recorded)
    words, masked = public_arguments(options.arguments)
    optional = {
        "masked_arguments": masked,
        "secrets": dict(options.secrets),
        "metadata": dict(options.metadata),
        "resources": dict(options.resources),
        "runtime_env": dict(options.runtime_env),
        "rerun_of": options.rerun_of,
    }
    return {
        "arguments": words,
        "env": env,
        "env_names": names,
        **{name: value for name, value in optional.items() if value},
    }


def public_env(env: Mapping[str, str], recorded: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Returns the variables with values that a record may have, and the names of the others.

    Args:
        env: of the job.
        recorded: names and globs of `record-env`.
    """
    values = {
        name: value
        for name, value in sorted(env.items())
        if (_HARMLESS.fullmatch(name) or any(fnmatchcase(name, each) for each in recorded))
        and not looks_secret(name, value)
    }
    return values, sorted(set(env) - set(values))


def public_arguments(arguments: Sequence[str]) -> tuple[list[str], list[int]]:
    """Returns the arguments with a mask in place of secrets, and the numbers of those, from 1."""
    masked = secret_arguments(arguments)
    words = [MASK if number in masked else word for number, word in enumerate(arguments, 1)]
    return words, masked
