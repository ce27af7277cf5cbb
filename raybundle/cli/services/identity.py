"""The id of a job, made of what a CI service says about the run that submits it."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FROM_CI = "@ci"
"""What asks for such an id on the command line; no id has an `@`."""
_RUNS = {
    "GITHUB_ACTIONS": ("github", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "GITHUB_ACTION"),
    "GITLAB_CI": ("gitlab", "CI_PIPELINE_ID", "CI_JOB_ID"),
    "JENKINS_HOME": ("jenkins", "JOB_NAME", "BUILD_NUMBER", "STAGE_NAME"),  # JENKINS_URL may be unset
}
"""Variables that a service sets: one that it is known by, the id's first word, and what names a run."""
_LONGEST = 150
"""Characters of the id before its hash."""


def identity(environ: Mapping[str, str], words: Sequence[str]) -> str:
    """Returns the id of the job that a command line submits in this run of a pipeline.

    The same command in the same run has the same id, so that it attaches to its job. Another command, a run
    that was started again, or a retry of a job of GitLab has another.

    Raises:
        UsageError: this is no run of a service that is known.
    """
    for mark, (first, *names) in _RUNS.items():
        if environ.get(mark):
            parts = [first, *(environ[name] for name in names if environ.get(name))]
            text = re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(parts)).strip("-")[:_LONGEST]
            digest = hashlib.sha256(
                "\0".join([*parts, *words]).encode("utf-8", "surrogateescape")
            ).hexdigest()
            return f"{text}-{digest[:8]}"
    raise UsageError(
        "`--submission-id @ci`: this is not a run of GitHub Actions, GitLab or Jenkins",
        hint="name an id that is the same when the step runs again, such as `--submission-id nightly-7`",
    )
