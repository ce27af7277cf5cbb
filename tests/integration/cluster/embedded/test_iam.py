"""The policies of templates/iam suffice for what each role does, are enforced, and have nothing to spare."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from raybundle.functions._driver import PUT
from raybundle.node import __file__ as node
from tests.support.iam import ROLES, allowing, asked, policy, without_create_only
from tests.support.proxy import Proxy
from tests.support.s3_server import s3_server
from tests.support.signing import make_key
from tests.support.small_project import tree

if TYPE_CHECKING:
    from tests.integration.cluster.conftest import Embedded
    from tests.support.s3_server import S3Server
    from tests.support.workplace import Workplace

pytestmark = [pytest.mark.ray, pytest.mark.slow]

BOOT = Path(node).parent
PREFIX = uuid.uuid4().hex
JOB = 'import sortedcontainers\n\nprint("RAN", len(open("large.bin", "rb").read()))\n'
CONFIG = '[project]\nname = "job"\n[tool.raybundle]\ninclude = ["large.bin"]\n'


@dataclass(frozen=True, slots=True)
class Scene:
    """A user who acts in one role at a time, and the requests of each."""

    work: Workplace
    server: S3Server
    proxy: Proxy
    used: dict[str, set[str]]

    def act(self, role: str, *words: str, code: int = 0) -> str:
        """Runs a command in a role, which returns `code`; notes what of its policy the requests use."""
        before = len(self.proxy.requests)
        environ = {**self.server.environ_of(self.server.roles[role]), "AWS_ENDPOINT_URL": self.proxy.address}
        done = self.work.raybundle(*words, env=environ)
        assert done.returncode == code, (role, words, done.stderr)
        document = policy(role, self.server.bucket, PREFIX)
        both = list(zip(self.proxy.requests, self.proxy.headers, strict=True))[before:]
        requests = [asked(each.method, each.path, headers) for each, headers in both]
        for each in requests:
            names = allowing(document, each)
            assert names or code, (role, words, each)
            self.used.setdefault(role, set()).update(names)
        assert not code or not all(allowing(document, each) for each in requests)
        return done.stdout

    def put_as_function(self, name: str) -> int:
        """Puts an object as the process that keeps a function's result on a node; returns its exit code."""
        before = len(self.proxy.requests)
        keys = self.server.environ_of(self.server.roles["nodes"])
        done = subprocess.run(
            [sys.executable, "-c", PUT, str(BOOT / "fetch"), f"s3://{self.server.bucket}/{PREFIX}/{name}"],
            env={**os.environ, **keys, "AWS_ENDPOINT_URL": self.proxy.address},
            input=b"{}",
            capture_output=True,
            check=False,
        )
        document = policy("nodes", self.server.bucket, PREFIX)
        for each, headers in zip(self.proxy.requests[before:], self.proxy.headers[before:], strict=True):
            names = allowing(document, asked(each.method, each.path, headers))
            assert bool(names) == (done.returncode == 0), (name, done.stderr)
            self.used.setdefault("nodes", set()).update(names)
        return done.returncode

    def act_as_node(self) -> None:
        """Reads what nodes fetch, and tries all else; see `fetch_archives` in raybundle/node/fetch."""
        keys, bucket = self.server.roles["nodes"], self.server.bucket
        session = boto3.Session(keys.access, keys.secret, region_name="us-east-1")
        client = session.client("s3", endpoint_url=self.server.endpoint)
        all_keys = self.work.raybundle("--json", "verify", "job", env=self.server.environ).stdout
        objects = {each["key"] for each in json.loads(all_keys)["objects"]} | {
            "store.json",
            "names/job/1.json",
        }
        document, readable = policy("nodes", bucket, PREFIX), set()
        for key in objects:
            with contextlib.suppress(ClientError):
                client.get_object(Bucket=bucket, Key=f"{PREFIX}/{key}")
                readable.add(key)
            names = allowing(document, asked("GET", f"/{bucket}/{PREFIX}/{key}", {}))
            assert bool(names) == (key in readable), key
            self.used.setdefault("nodes", set()).update(names)
        assert readable == {
            key for key in objects if key.endswith(".zip") or key.startswith("data/") or key == "store.json"
        }
        result = f"results/job-1/{'0' * 64}"
        for name, code in ((result, 0), (result, 0), ("data/x", 1), ("names/job/2.json", 1)):
            assert self.put_as_function(name) == code, name
        with pytest.raises(ClientError, match="403"):  # results of other jobs are not for this one
            client.head_object(Bucket=bucket, Key=f"{PREFIX}/{result}")
        for call, more in ((client.list_objects_v2, {}), (client.put_object, {"Key": f"{PREFIX}/data/x"})):
            with pytest.raises(ClientError, match="AccessDenied"):
                call(Bucket=bucket, **more)


def test_each_role_can_do_its_work_and_no_statement_is_idle(embedded: Embedded, tmp_path: Path) -> None:
    policies = {role: without_create_only(policy(role, "bundles", PREFIX)) for role in ROLES}
    with s3_server(policies=policies) as server, Proxy(server.endpoint) as proxy:
        store = f"s3://{server.bucket}/{PREFIX}"
        work = embedded.workplace(tmp_path / "work", RAYBUNDLE_STORE=store, VIRTUAL_ENV=sys.prefix)
        tree(work.directory, {"job.py": JOB, "pyproject.toml": CONFIG})
        (work.directory / "large.bin").write_bytes(bytes(range(256)) * 40_000)
        key, _ = make_key(tmp_path, "ci")
        scene = Scene(work, server, proxy, {})

        done = json.loads(
            scene.act("submitters", "--json", "submit", "--name", "job", "--save-logs", "job.py")
        )
        scene.act("runners", "run", "--save-logs", "job")
        scene.act("runners", "rerun", done["submission_id"])
        scene.act("signers", "sign", "--key", str(key), "job@1")
        for words in (("show", "job"), ("verify", "job"), ("check", "--read-data"), ("bundles",), ("runs",)):
            scene.act("readers", *words)
        scene.act("readers", "pull", "--layers", "job", str(tmp_path / "pulled"))

        (work.directory / "job.py").write_text(JOB + "# changed\n")
        for role in ("readers", "runners", "signers"):
            scene.act(role, "build", "job.py", code=4)
        scene.act("readers", "tag", "job@1", "other", code=4)
        scene.act("submitters", "build", "job.py")  # no name and no run leads to it
        scene.act("submitters", "gc", "--grace", "0", "--delete", code=4)
        assert json.loads(scene.act("collectors", "--json", "gc", "--grace", "0", "--delete"))["removed"]

        scene.act_as_node()

    idle = {
        role: {each["Sid"] for each in policy(role, "bundles", PREFIX)["Statement"]} - used
        for role, used in scene.used.items()
    }
    assert idle == {role: set() for role in ROLES}
