"""A second user of this machine reaches the ports of the embedded cluster, and gets nothing from them."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.cluster.embedded.processes import Process, find_family
from tests.support import knocking
from tests.support.lacking import lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded

pytestmark = pytest.mark.ray

OTHER_USER = "4402"
PUBLIC = {"GET /": "200"}
"""The dashboard's page, which has no data in it."""
BUSY = """
import ray, time

@ray.remote
class Actor:
    def look(self):
        return 1

ray.init()
actor = Actor.remote()
ray.get(actor.look.remote())
print("READY", flush=True)
time.sleep(300)
"""


@pytest.fixture
def busy(embedded: Embedded, client: JobsClient, tmp_path: Path) -> Iterator[Embedded]:
    """The cluster while a job has a driver and an actor, whose processes listen, too."""
    if os.geteuid() != 0:
        lacking("only root can become another user")
    name = f"busy-{tmp_path.name}"
    client.submit(name, {"entrypoint": f"python -c {shlex.quote(BUSY)}"})
    while "READY" not in client.logs(name):
        assert not client.info(name).ended, client.logs(name)
        time.sleep(0.1)
    yield embedded
    client.stop(name)


def listening(embedded: Embedded) -> list[str]:
    """Returns the ports of the cluster's processes (proc(5): state 0A)."""
    record = json.loads((embedded.state / "cluster.json").read_text())
    family = find_family([Process(**process) for process in record["processes"]])
    sockets = {
        os.readlink(link)  # noqa: PTH115 - a Path would cost more
        for process in family
        for link in Path(f"/proc/{process.pid}/fd").iterdir()
        if link.is_symlink()
    }
    rows = [
        line.split()
        for kind in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()
    ]
    return [str(int(row[1][-4:], 16)) for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]


def knock_at(ports: list[str], *files: Path, token: str = "") -> dict[str, Any]:
    words = [OTHER_USER, *map(str, files), "--", *ports]
    done = subprocess.run(
        [sys.executable, knocking.__file__, *words],
        env={**os.environ, "KNOCKING_TOKEN": token},
        capture_output=True,
        check=True,
        timeout=120,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_no_port_and_no_file_of_the_cluster_serves_a_second_user(busy: Embedded) -> None:
    token = busy.state / "auth_token"
    temp_dir = Path(json.loads((busy.state / "cluster.json").read_text())["temp_dir"])
    ports = listening(busy)

    found = knock_at(ports, token, temp_dir / "ray", busy.state / "cluster.json")
    admitted = knock_at(ports, token=token.read_text())["ports"]

    assert found["files"] == []
    assert token.stat().st_mode & 0o777 == 0o600
    assert busy.state.stat().st_mode & 0o777 == temp_dir.stat().st_mode & 0o777 == 0o700
    refused = {"401", "UNAUTHENTICATED", "metrics"}
    served = {
        f"{port} {question}": answer
        for port, answers in found["ports"].items()
        for question, answer in answers.items()
        if answer not in refused and PUBLIC.get(question) != answer
    }
    assert served == {}
    assert all(found["ports"].values()), "a port was asked nothing that it knows"
    services = {
        question for answers in admitted.values() for question in answers if question in knocking.GRPC
    }
    assert services == set(knocking.GRPC)
    assert all(
        set(answers.values()) - refused or "metrics" in answers.values() for answers in admitted.values()
    )


def test_rays_own_client_with_the_token_is_served(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", **embedded.token, RAY_AUTH_MODE="token")
    words = ["-m", "ray.scripts.scripts", "job", "list", "--address", embedded.address]

    admitted = work.command([sys.executable, *words])
    refused = work.command(
        [sys.executable, *words], env={"RAY_AUTH_TOKEN_PATH": "", "RAY_AUTH_MODE": "disabled"}
    )

    assert admitted.returncode == 0, admitted.stderr
    assert refused.returncode != 0
    assert "Authentication required" in refused.stderr


def test_the_owner_needs_no_token_of_his_own_with_or_without_the_address(
    embedded: Embedded, tmp_path: Path
) -> None:
    foreign = {"RAY_AUTH_TOKEN": "of another cluster", "RAY_AUTH_MODE": "token"}
    work = embedded.workplace(tmp_path / "work", **foreign)
    port = embedded.address.rpartition(":")[2]

    for address in ([], ["--address", embedded.address], ["--address", f"localhost:{port}"]):
        done = work.raybundle(*address, "list")
        assert done.returncode == 0, done.stderr
    status = json.loads(work.raybundle("--json", "local", "status").stdout)

    assert status["running"]
    assert status["token_file"] == str(embedded.state / "auth_token")


def test_the_token_is_not_sent_to_another_user_who_listens_on_the_port(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work")
    state = tmp_path / "state"
    state.mkdir()
    for name in ("auth_token", "cluster.json"):
        (state / name).write_bytes((embedded.state / name).read_bytes())
    thief = subprocess.Popen([sys.executable, "-c", THIEF, OTHER_USER], stdout=subprocess.PIPE, text=True)
    with thief:
        assert thief.stdout is not None
        port = thief.stdout.readline().strip()
        record = json.loads((state / "cluster.json").read_text())
        record["address"] = f"http://127.0.0.1:{port}"
        (state / "cluster.json").write_text(json.dumps(record))
        env = {"RAYBUNDLE_LOCAL_STATE": str(state)}
        work.raybundle("--address", record["address"], "status", "x", env=env)
        work.raybundle("local", "status", env=env)
        thief.terminate()
        heard = thief.stdout.read()

    assert heard.count("GET /api/") == 2
    assert "Authorization" not in heard


def test_the_terminal_is_not_steered_by_the_ids_and_messages_of_others(
    embedded: Embedded, client: JobsClient, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work")
    name = f"evil\x1b]0;owned\x07\nrow-\u202e{tmp_path.name[-9:]}"
    client.submit(name, {"entrypoint": "exit 3 # \x1b[2J", "metadata": {"raybundle": "\x1b[8m"}})
    while not client.info(name).ended:
        time.sleep(0.1)

    commands = (["list"], ["status", name], ["attach", name], ["stop", name])
    done = [work.raybundle(*words) for words in commands]

    assert [each.returncode for each in done] == [0, 0, 20, 0]
    ours = [done[0].stdout, *(each.stderr for each in done), done[1].stdout]
    assert "evil\\x1b]0;owned\\x07\\nrow-\\u202e" in done[0].stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202e]", "".join(ours))


THIEF = """
import email.generator, encodings.idna, html, http.server, os, sys, traceback

class Thief(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        print(self.requestline, self.headers, flush=True)
        self.send_response(404)
        self.end_headers()

    def log_message(self, *words):
        pass

os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
server = http.server.HTTPServer(("127.0.0.1", 0), Thief)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
