"""An application of Ray Serve for tests: what it answers says from where each replica runs."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError

from raybundle.outage import Outage

if TYPE_CHECKING:
    from types import TracebackType

FILES = {
    "told.py": """\
import hashlib
import os
import sys
from importlib.util import find_spec


def told(**more):
    return {
        "bundle": os.environ.get("RAYBUNDLE_DIGEST"),
        "file": __file__,
        "path": sys.path[:2],
        "other": find_spec("rehto_ylno"[::-1]) is not None,  # a literal would bring it
        "token": hashlib.sha256(os.environ.get("TOKEN", "").encode()).hexdigest(),
        "pid": os.getpid(),
        "node": os.uname().nodename,
        **more,
    }
""",
    "app.py": """\
import os
from pathlib import Path

from ray import serve
from told import told

OWN = {"num_cpus": 0.1, "runtime_env": {"env_vars": {"OWN": "mine"}}}


def greeted(**more):
    from words import greeting

    return told(greeting=greeting.GREETING, data=Path("note.txt").read_text().strip(), **more)


@serve.deployment(num_replicas=2, ray_actor_options=OWN)
class Speaker:
    def __init__(self, word):
        self.word = word

    def __call__(self, name):
        return greeted(word=self.word, own=os.environ.get("OWN"), name=name)


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Ingress:
    def __init__(self, speaker):
        self.speaker = speaker

    @serve.batch(max_batch_size=4, batch_wait_timeout_s=0.01)
    async def upper(self, names):
        return [name.upper() for name in names]

    async def __call__(self, request):
        name = await self.upper(request.query_params.get("name", "x"))
        return {"speaker": await self.speaker.remote(name), "ingress": greeted()}


def build(args):
    return Ingress.bind(Speaker.bind(args["word"]))
""",
    "other.py": """\
from only_other import MARK
from ray import serve
from told import told


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Other:
    def __call__(self, request):
        return told(mark=MARK)


graph = Other.bind()
""",
    "raising.py": """\
import told

raise RuntimeError("raised at import")
graph = told
""",
    "words/__init__.py": "",
    "words/greeting.py": 'GREETING = "old"\n',
    "only_other.py": 'MARK = "other"\n',
    "note.txt": "old\n",
}
"""`app:build` and `other:graph` share one module; `words.greeting` and the note are of the first alone."""
CONFIG = """\
http_options: {{host: {host}, port: {port}}}
applications:
- name: first
  route_prefix: /first
  import_path: app:build
  args: {{word: hello}}
  logging_config: {{log_level: 30}}
  runtime_env: {{env_vars: {{OWN: of the application}}}}
- name: second
  route_prefix: /second
  import_path: other:graph
"""


@dataclass(slots=True)
class Load:
    """A steady load of requests, from its start to its end."""

    url: str
    answers: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    longest: float = 0.0
    """Seconds of the slowest request."""
    _ended: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Load:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            begin = time.monotonic()
            try:
                self.answers.append(ask(self.url))
            except (OSError, ValueError) as error:
                self.failures.append(str(error))
            self.longest = max(self.longest, time.monotonic() - begin)


def ask(url: str) -> dict[str, Any]:
    """Returns the answer of an application."""
    with urllib.request.urlopen(url, timeout=120) as answer:  # noqa: S310 - of this cluster
        found: dict[str, Any] = json.loads(answer.read())
        return found


def ask_when_known(url: str) -> dict[str, Any]:
    """Returns the answer of a new application: a busy proxy may learn its route after Serve says RUNNING."""
    outage = Outage(0.1, 0.5, patience=60)
    while True:
        try:
            return ask(url)
        except HTTPError as error:  # noqa: PERF203 - tries again
            if error.code != HTTPStatus.NOT_FOUND or not outage.wait():
                raise
