"""A secret in any option of `submit` is sent, stored and shown nowhere."""

from __future__ import annotations

import json
import os
import secrets
import string
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.cli.main import main
from raybundle.cli.parser import command_parsers
from raybundle.config import KEYS

if TYPE_CHECKING:
    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray

OPTIONS = sorted(
    action.option_strings[0] for action in command_parsers()["submit"]._actions if action.nargs != 0
)
"""All options with a value; a new one is among them by itself."""
CANARY = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(36))
TOKEN = f"ghp_{CANARY}"
FORMS = (
    TOKEN,
    f"NAME={TOKEN}",
    json.dumps({"note": TOKEN}),
    json.dumps({TOKEN: "1"}),
    f"https://user:{CANARY}@127.0.0.1:1/x",
    f"https://127.0.0.1:1/x?X-Amz-Signature={CANARY}",
)
"""Values whose shape gives them away, so that any option refuses them."""
IN_JSON = (
    json.dumps({"pip": ["humanize", f"--extra-index-url=https://user:{CANARY}@127.0.0.1:1/simple"]}),
    json.dumps({"uv": {"packages": [f"humanize @ https://{CANARY}@127.0.0.1:1/humanize.whl"]}}),
    json.dumps({"conda": {"dependencies": [{"pip": [f"-i https://{CANARY}@127.0.0.1:1/simple"]}]}}),
    json.dumps({"config": {"api_key": CANARY}}),
    json.dumps({"env_vars": {"MY_TOKEN": CANARY}}),
)
"""Secrets by their place in a runtime_env."""
CARRIES = ("--headers", "--address")
"""Options that are for credentials: the first sends them to the cluster, which does not keep them."""


@pytest.fixture
def work(embedded: Embedded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """The workplace of a user of the cluster, where this process is, too."""
    work = embedded.workplace(tmp_path / "work", "exits")
    for name in os.environ.keys() - work.environ.keys():
        monkeypatch.delenv(name)
    for name, value in work.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(work.directory)
    return work


def ends(*words: str) -> int | str | None:
    """Returns the exit code of the command line in this process."""
    try:
        return main(words)
    except SystemExit as ended:
        return ended.code


def kept(*directories: Path) -> list[str]:
    """Returns the files whose name or content has the canary."""
    found = [
        path
        for directory in directories
        for path in directory.rglob("*")
        if CANARY in path.name or (path.is_file() and CANARY.encode() in path.read_bytes())
    ]
    return list(map(str, found))


def test_a_secret_in_any_option_is_in_nothing_that_is_sent_stored_or_shown(
    embedded: Embedded, work: Workplace, client: JobsClient, capfd: pytest.CaptureFixture[str]
) -> None:
    assert {"--metadata-json", "--runtime-env-json", "--store", "--submission-id"} <= set(OPTIONS)

    for option in sorted({*OPTIONS} - {*CARRIES}):
        for form in (*FORMS, *(IN_JSON if option == "--runtime-env-json" else ())):
            code = ends("submit", option, form, "job.py", "code", "0")
            said = capfd.readouterr()
            assert CANARY not in said.out + said.err, (option, form)
            assert code == 2, (option, form, said.err)
    headers = work.raybundle("submit", "--headers", FORMS[2], "job.py", "code", "0")
    address = work.raybundle("submit", "--address", FORMS[4], "job.py", "code", "0")

    assert (headers.returncode, address.returncode) == (0, 5), headers.stderr
    assert all(CANARY not in done.stdout + done.stderr for done in (headers, address))
    temp_dir = Path(json.loads((embedded.state / "cluster.json").read_text())["temp_dir"])
    assert kept(Path(work.environ["HOME"]), embedded.state, temp_dir / "ray/session_latest/logs") == []
    assert CANARY not in json.dumps(client.get("/api/jobs/"))


@pytest.mark.parametrize("key", sorted(KEYS.keys() - {"rules"}))
def test_a_secret_in_any_setting_is_not_shown(
    work: Workplace, key: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    value = f"MY_TOKEN={TOKEN}" if key == "env" else TOKEN
    monkeypatch.setenv(f"RAYBUNDLE_{key.upper().replace('-', '_')}", value)

    code = ends("submit", str(work.directory / "job.py"))
    said = capfd.readouterr()

    assert code == 2
    assert CANARY not in said.out + said.err


def test_arguments_that_look_like_a_secret_are_warned_about_without_the_value(
    work: Workplace,
) -> None:
    other = secrets.token_hex(18)
    done = work.raybundle(
        "--json", "submit", "job.py", "code", "0", "--api-key", other, f"--hf=ghp_{other}", f"ghp_{other}"
    )

    assert done.returncode == 0, done.stderr
    [warning] = json.loads(done.stdout)["warnings"]
    assert warning["text"].startswith("argument 4, 5, 6 of the job looks like a secret")
    assert other not in done.stderr.replace(_entrypoint(done.stderr), "")


def _entrypoint(log: str) -> str:
    """Returns Ray's line of the job's log that shows the command: what the warning is about."""
    return next(line for line in log.splitlines() if line.startswith("Running entrypoint"))
