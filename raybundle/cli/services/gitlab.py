"""GitLab: the log of a job is a section of the log."""

from __future__ import annotations

import time

from raybundle.cli.services.service import Service

_NAME = "raybundle_job"


class GitLab(Service):
    """GitLab CI/CD."""

    def opening(self) -> bytes:
        """Returns the start of a section."""
        return _section("start", "Log of the Ray job")

    def closing(self) -> bytes:
        """Returns its end."""
        return _section("end", "")


def _section(what: str, header: str) -> bytes:
    return f"\x1b[0Ksection_{what}:{time.time():.0f}:{_NAME}\r\x1b[0K{header}\n".encode()
