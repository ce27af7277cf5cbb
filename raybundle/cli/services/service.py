"""What a CI service reads of a command's output; a terminal reads none of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raybundle.errors import RaybundleError

FACTS = ("bundle", "submission_id", "status", "exit_code")
"""What a service hands to later steps."""


class Service:
    """No service: output stays as it is."""

    def masks(self) -> Iterable[str]:
        """Returns lines that make the service hide secrets."""
        return ()

    def harmless(self, text: str) -> str:
        """Returns a text in which the service sees no command."""
        return text

    def harmless_json(self, text: str) -> str:
        """Returns JSON that means the same, and in which the service sees no command."""
        return text

    def opening(self) -> bytes:
        """Returns what precedes the log of a job."""
        return b""

    def closing(self) -> bytes:
        """Returns what follows it."""
        return b""

    def annotations(self, _error: RaybundleError) -> Iterable[str]:
        """Returns lines that show an error beside the code."""
        return ()

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Hands on what is known in the end."""


def known(facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns what later steps get, each value on one line: others may have written a job's metadata."""
    from raybundle.formats.terminal import one_line

    return {name: one_line(str(facts[name])) for name in FACTS if facts.get(name) is not None}


def dotenv(facts: Mapping[str, Any]) -> str:
    """Returns what is known in the end as lines `NAME=VALUE`; later jobs of a pipeline have the variables."""
    return "".join(f"RAYJOB_{name.upper()}={value}\n" for name, value in known(facts).items())
