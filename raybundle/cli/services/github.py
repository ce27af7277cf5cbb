"""GitHub Actions: workflow commands, outputs of a step, and its summary."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cli.services.service import Service, known
from raybundle.formats.credentials import masked
from raybundle.formats.terminal import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.errors import RaybundleError

_SECRETS = ("RAY_AUTH_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
"""Variables that raybundle reads, and that must not appear in a log."""
_COMMAND = re.compile(r"^(\s*):(?=:)", re.MULTILINE)
"""The start of a command: the runner looks for it at the start of each line, whoever wrote the line."""
_OLD_COMMAND = "##["
"""The start of a command of the old form, which the runner finds anywhere in a line."""
MOST = 10
"""Annotations of one kind that GitHub shows of a step."""


class GitHub(Service):
    """GitHub Actions."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._token = secrets.token_hex(16)
        """Ends the fence around the log; the job cannot know it."""

    def masks(self) -> Iterator[str]:
        """Yields a command for each line of each secret."""
        found = [self._environ.get(name, "") for name in _SECRETS]
        if file := self._environ.get("RAY_AUTH_TOKEN_PATH"):
            with contextlib.suppress(OSError, ValueError):  # whoever needs the token says what is wrong
                found.append(Path(file).read_text("utf-8"))
        for line in "\n".join(found).splitlines():
            if line.strip():
                yield f"::add-mask::{_data(line.strip())}"

    def harmless(self, text: str) -> str:
        """Returns a text without the starts of commands."""
        return _COMMAND.sub(r"\1: ", text).replace(_OLD_COMMAND, "# #[")

    def harmless_json(self, text: str) -> str:
        """Returns JSON with an escape in each start of a command."""
        return text.replace(_OLD_COMMAND, "#\\u0023[")

    def opening(self) -> bytes:
        """Returns the start of a group, from which on no command counts."""
        return f"::group::Log of the Ray job\n::stop-commands::{self._token}\n".encode()

    def closing(self) -> bytes:
        """Returns the end of the group, before which commands count again."""
        return f"::{self._token}::\n::endgroup::\n".encode()

    def annotations(self, error: RaybundleError) -> Iterator[str]:
        """Yields a command for each place of an error."""
        base = self._environ.get("GITHUB_WORKSPACE") or os.fspath(Path.cwd())
        for place in error.places[:MOST]:
            file = os.path.relpath(place.file, base)
            yield f"::error file={_property(file)},line={place.line},title=raybundle::{_data(place.text)}"

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Appends to the outputs of the step, and to its summary."""
        outputs = "".join(f"{name}={value}\n" for name, value in known(facts).items())
        for variable, text in (("GITHUB_OUTPUT", outputs), ("GITHUB_STEP_SUMMARY", summary(facts))):
            if file := self._environ.get(variable):
                with Path(file).open("a", encoding="utf-8") as stream:
                    stream.write(text)


def summary(facts: Mapping[str, Any]) -> str:
    """Returns what is known in the end, as Markdown."""
    job, status = facts.get("submission_id"), facts.get("status")
    title = f"Ray job {_code(job)} {status or ''}".rstrip() if job else "raybundle"
    rows = {"bundle": facts.get("bundle"), "exit code": facts.get("exit_code")}
    rows["seconds"] = ", ".join(f"{name} {spent:.1f}" for name, spent in (facts.get("timings") or {}).items())
    lines = [f"### {title}", "", "| | |", "| --- | --- |"]
    lines += [f"| {name} | {_code(value)} |" for name, value in rows.items() if value not in (None, "")]
    if error := facts.get("error"):
        error = masked(printable(error))
        fence = "`" * (max([2, *map(len, re.findall("`+", error))]) + 1)
        lines += ["", f"{fence}text", error, fence]
    return "\n".join([*lines, "", ""])


def _code(value: object) -> str:
    """Returns a value as code, which it cannot end."""
    return f"`{one_line(str(value)).replace('`', chr(39))}`"


def _data(text: str) -> str:
    """Returns a text as the message of a command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Returns a text as a property of a command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
