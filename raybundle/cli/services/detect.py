"""Finds the CI service that runs this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.cli.services.service import Service

if TYPE_CHECKING:
    from collections.abc import Mapping


def service_of(environ: Mapping[str, str]) -> Service:
    """Returns the service that runs this process; `RAYBUNDLE_CI=off` means none."""
    if environ.get("RAYBUNDLE_CI") == "off":
        return Service()
    if environ.get("GITHUB_ACTIONS") == "true":
        from raybundle.cli.services.github import GitHub

        return GitHub(environ)
    if environ.get("GITLAB_CI") == "true":
        from raybundle.cli.services.gitlab import GitLab

        return GitLab()
    return Service()
