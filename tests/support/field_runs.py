"""Builds the bundle of a case of `field` in a copy, and runs its job like Ray does, with the copy gone."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.cli.request import parse_command
from raybundle.cluster.runtime_env import render_entrypoint, render_runtime_env
from raybundle.errors import RaybundleError
from raybundle.planning import Plan, plan
from raybundle.publish.bundles import build
from raybundle.request import prepare
from raybundle.store.local import LocalStore
from raybundle.submission.asking import Given, ask
from raybundle.submission.ray_environment import RayEnvironment
from tests.support.booting import Unpacked, find_base, make_interpreter, make_venv, with_cache_at
from tests.support.jobs import CONSTRAINTS
from tests.support.nodes import node_environment
from tests.support.own_wheels import find_uv
from tests.support.users import installed_versions, user_python
from tests.support.workplace import PROJECTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from subprocess import CompletedProcess

    from raybundle.model import Warning
    from tests.support.field import Case

SUPERVISOR = (
    "import os, subprocess, sys\n"
    "environ = {**os.environ, 'RAY_JOB_CONFIG_JSON_ENV_VAR': '{}'}\n"
    "sys.exit(subprocess.run(['sh', '-c', sys.argv[1]], env=environ).returncode)"
)
"""What the supervisor of a job does with its entrypoint. It is a process of the bundle itself."""

VERSION = re.compile("<version of (.+?)>")


@dataclass(frozen=True, slots=True)
class Told:
    """What a build said, and its bundle unless it was refused."""

    texts: tuple[str, ...]
    """Warnings, or the error, each with its hint."""
    planned: Plan | None = None
    start: str = ""
    """Where the job starts, relative to the project."""

    @property
    def modules(self) -> set[str]:
        """The names of the modules that travel."""
        return {str(each.name) for each in self.planned.resolution.modules} if self.planned else set()


@dataclass(frozen=True, slots=True)
class Bench:
    """What all cases share: cache and store of the user, and the cache of the node.

    Args:
        directory: where they are.
        rules: the compiled rules of the scanner of secrets.
    """

    directory: Path
    rules: Path

    @property
    def environ(self) -> dict[str, str]:
        """The variables of the user's shell."""
        cache = self.directory / "home/cache"
        if not cache.exists():
            shutil.copytree(self.rules, cache / "raybundle/secret-rules")
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory / "home"),
            "XDG_CACHE_HOME": str(cache),
        }

    def plan(self, place: Path, case: Case, python: Path, settings: Mapping[str, Any]) -> Told:
        """Plans the bundle of a copy, and returns what a user reads."""
        start = (place / case.start).resolve()
        command = parse_command(list(case.words), start)
        given = Given({"python": str(python), **settings}, self.environ, start)
        request = ask(command.target, command.arguments, given, RayEnvironment(), traces=False)
        try:
            planned = plan(prepare(request))
        except RaybundleError as error:
            return Told((f"{error} | {error.hint}",))
        return Told(tuple(map(_shown, planned.resolution.warnings)), planned, request.start())

    def settled(self, place: Path, case: Case, python: Path) -> Told:
        """Plans the bundle, does what each hint says, and returns what is said at last."""
        settings: dict[str, Any] = {}
        for hint in case.hints:
            said = self.plan(place, case, python, settings).texts
            assert any(all(word in text for word in hint.says) for text in said), said
            settings.update(hint.given)
            if hint.ignores:
                file, line = hint.ignores
                text = (place / file).read_text()
                assert text.count(line) == 1
                (place / file).write_text(text.replace(line, f"{line}  # raybundle: ignore"))
        return self.plan(place, case, python, settings)

    def deliver(self, told: Told, work: Path, environ: Mapping[str, str] = MappingProxyType({})) -> Unpacked:
        """Puts a bundle into the store, and returns it as Ray unpacks it on a node."""
        planned = told.planned
        assert planned, told.texts
        store = LocalStore(self.directory / "store")
        stored = build(planned, store)
        scratch = work / "working_dir"
        _unzip(store, stored.archive_key, scratch)
        places = []
        for key in stored.layer_keys:
            places.append(self.directory / "py_modules" / Path(key).stem)
            if not places[-1].exists():
                _unzip(store, key, places[-1])
        rendered = render_runtime_env(
            planned.digest,
            stored.boot,
            "",
            environ,
            layers=[str(each) for each in places],
            source=store.url if stored.data else None,
            delivery=stored.delivery,
            cwd=told.start,
        )
        own = {
            **rendered["env_vars"],
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory / "home"),
            "PYTHONPATH": ":".join(map(str, [*places, scratch])),
        }
        (self.directory / "node").mkdir(exist_ok=True)
        return with_cache_at(Unpacked(scratch, planned.digest, own), self.directory / "node")


def run_job(node: Unpacked, python: Path, told: Told, words: Sequence[str]) -> CompletedProcess[str]:
    """Runs the entrypoint of a bundle as Ray's supervisor does."""
    assert told.planned
    return node.run(python, "-c", SUPERVISOR, render_entrypoint(told.planned.manifest, words))


def nodes_for(case: Case, work: Path) -> list[Path]:
    """Returns the interpreters of nodes: with the newest and the oldest Ray, if they have that Python."""
    if case.python:
        return [make_interpreter(work / "node", _base(case.python))]
    return [each / "bin/python" for each in (node_environment(), old_ray_environment()) if each]


def old_ray_environment() -> Path | None:
    """Returns the environment of the oldest Ray if there is one; in CI there must be."""
    environment = os.environ.get("RAYBUNDLE_TEST_OLD_RAY_ENV")
    assert environment or not os.environ.get("CI"), "RAYBUNDLE_TEST_OLD_RAY_ENV is not set"
    return Path(environment) if environment else None


def _shown(warning: Warning) -> str:
    return f"{warning.file}:{warning.line}: {warning.text} | {warning.hint}"


def _base(version: str) -> str:
    return find_base(version) or pytest.skip(f"no Python {version} here")


def _unzip(store: LocalStore, key: str, directory: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(store.get(key))) as archive:
        archive.extractall(directory)


def copy_of(name: str, case: Case, place: Path) -> Path:
    """Returns a copy of a folder, with its links."""
    shutil.copytree(PROJECTS / "field" / name, place, ignore=shutil.ignore_patterns("__pycache__"))
    for link, target in case.links.items():
        (place / link).symlink_to(target)
    if case.repository:
        subprocess.run(["git", "init", "--quiet", place], check=True)
    return place


def python_of(case: Case, place: Path, work: Path) -> Path:
    """Returns the interpreter of the case's user: that of all, unless it needs one of its own."""
    if not (case.installs or case.wheels or case.python):
        return user_python()
    directory = work / "env"
    make_venv(directory, _base(case.python) if case.python else sys.executable)
    python = directory / "bin/python"
    editable = [word for each in case.installs for word in ("-e", str(place / each))]
    words = [*editable, *(str(place / each) for each in case.wheels), *case.packages]
    install = [find_uv(), "pip", "install", "-q", "-c", str(CONSTRAINTS), "--python", str(python)]
    subprocess.run([*install, *words], check=True)
    return python


def expected(case: Case) -> list[str]:
    """Returns the lines that the job must print."""
    text = "".join(f"{line}\n" for line in case.prints)
    for name in set(VERSION.findall(text)):
        text = text.replace(f"<version of {name}>", installed_versions(user_python(), name)[name])
    return text.splitlines()


def here(case: Case, place: Path, python: Path) -> CompletedProcess[str]:
    """Runs the job with plain Python in the copy."""
    home = {"PATH": os.environ["PATH"], "HOME": str(place.parent)}
    environ = {**home, "PYTHONDONTWRITEBYTECODE": "1", **case.environ}
    if case.root:
        environ["PYTHONPATH"] = str(place / case.start / case.root)
    return subprocess.run(
        [python, *case.words],
        cwd=place / case.start,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
