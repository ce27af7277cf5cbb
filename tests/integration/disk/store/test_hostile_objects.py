"""Any object of a store may be anything: each command refuses it with one line, or does without it."""

from __future__ import annotations

import os
import re
import tracemalloc
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import pytest

from raybundle.cli.main import main
from raybundle.publish.bundles import build
from raybundle.publish.names import record_name
from raybundle.publish.runs.marks import log_key
from raybundle.publish.runs.records import record_end, record_event, record_start
from raybundle.publish.runs.run import new_run
from raybundle.store import open_store
from tests.support.installed import install
from tests.support.layered import plan_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]

LARGE = b"value = 1\n" * (1 << 17)
REFUSED = {0, 2, 3, 4, 5, 10}
"""Exit codes of a command that met an object; 1 would be an error that nobody thought of."""
USUAL = 61
"""Every so many pairs of an object and a damage, one is a usual one."""


def with_numbers(number: bytes) -> Callable[[bytes], bytes]:
    return lambda data: re.sub(rb"(?<=[:\[,])-?\d+(?=[,}\]])", number, data) or number


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "binary": lambda data: os.urandom(len(data) + 1),
    "deep": lambda _: b"[" * 100_000,
    "deep within": lambda data: data.replace(b":", b":" + b'{"a":' * 50_000, 1),
    "null": lambda _: b"null",
    "a list": lambda _: b"[[]]",
    "no keys": lambda _: b"{}",
    "words": lambda data: re.sub(rb":(\"[^\"]*\"|\d+|\[[^\]]*\])", rb":{}", data) or b'"x"',
    "huge": with_numbers(b"9" * 400),
    "endless": with_numbers(b"9" * 100_000),
    "no number": with_numbers(b"NaN"),
    "twice": lambda data: data.replace(b"{", b"{" + data.strip(b"{}").partition(b",")[0] + b",", 1),
    "surrogates": lambda data: data.replace(b'":"', b'":"\\ud800\\u0000', 3),
    "a hundred megabytes": lambda _: b"[" + b"[]," * (100 << 18) + b"[]]",
    "a gigabyte": lambda _: b"",
    "cut": lambda data: data[: len(data) // 2],
    "appended": lambda data: data + b"\n{}",
}


class Scene(NamedTuple):
    """A store with one of each object, and the commands that read it."""

    store: Path
    commands: tuple[tuple[str, ...], ...]
    keys: tuple[str, ...]


@pytest.fixture(autouse=True)
def _user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret_rules: Path) -> None:
    for name in ("RAYBUNDLE_ADDRESS", "RAYBUNDLE_STORE", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(secret_rules.parents[1]))
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    work = tmp_path_factory.mktemp("work")
    site = work / "site"
    planned = plan_with(work, [install(site, "big", {"big/__init__.py": LARGE})], sites=[site])
    planned = replace(planned, resolution=replace(planned.resolution, mentioned=("big",)))
    store = open_store(str(work / "store"), {})
    digest = build(planned, store).digest
    other = build(plan_with(work, [install(site, "small", {"small.py": b""})], sites=[site]), store).digest
    record_name(store, "model", other)
    record_name(store, "model", digest)
    record_name(store, "model", other)
    run = record_start(store, new_run(digest, ("a", "b"), {}, "http://127.0.0.1:1", "run-1"))
    record_event(store, run, "accepted", {})
    record_end(store, run, "SUCCEEDED", 0)
    store.put_new(log_key(run), b"one\ntwo\n")
    commands = (
        ("show", "model"),
        ("show", "--sbom", digest),
        ("show", "run-1"),
        ("bundles",),
        ("runs",),
        ("check", "--read-data"),
        ("verify", digest),
        ("export", digest, "--format", "runtime-env"),
        ("pull", digest, str(work / "pulled")),
        ("diff", digest, other),
        ("tag", digest, "label"),
        ("gc",),
        ("report", digest, "-o", str(work / "page.html")),
        ("--address", "http://127.0.0.1:1", "logs", "--tail", "1", "run-1"),
        ("build", "--name", "model", str(work / "project/job.py")),
    )
    return Scene(work / "store", commands, tuple(sorted(store.keys(""))))


def test_some_objects_that_are_damaged_stop_no_command_without_a_word(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    cases = [(key, damage) for key in scene.keys for damage in DAMAGES]
    for key, damage in cases[::USUAL]:
        meet(scene, key, damage, capfd, scene.commands)


@pytest.mark.wide
@pytest.mark.parametrize("damage", DAMAGES)
def test_any_object_that_is_damaged_stops_no_command_without_a_word(
    scene: Scene, capfd: pytest.CaptureFixture[str], damage: str
) -> None:
    for number, key in enumerate(scene.keys, [*DAMAGES].index(damage)):
        meet(scene, key, damage, capfd, scene.commands[number % 3 :: 3])


def test_a_store_of_a_later_format_is_refused_by_each_command(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    file = scene.store / "store.json"
    whole = file.read_bytes()
    file.unlink()
    file.write_bytes(b'{"features":[],"format":2}')
    [digest] = [words[1] for words in scene.commands if words[0] == "pull"]
    more = (
        ("rerun", "run-1"),
        ("bisect", "--here", digest, "model"),
        ("run", "--here", digest),
        ("patch", digest),
    )
    try:
        for words in (*scene.commands, *more, ("diff", "run-1", "model"), ("runs", "--refresh")):
            code = main(["--store", str(scene.store), *words])
            out, said = capfd.readouterr()

            assert (code, out) == (4, ""), (words, out, said)
            assert "has format 2" in said, words
            assert "is whole" not in said, words
    finally:
        file.unlink()
        file.write_bytes(whole)


def meet(
    scene: Scene,
    key: str,
    damage: str,
    capfd: pytest.CaptureFixture[str],
    commands: tuple[tuple[str, ...], ...],
) -> None:
    """Runs commands while an object is another; all that they write is removed again."""
    file = scene.store / key
    whole, before = file.read_bytes(), set(files(scene.store))
    file.unlink()
    file.write_bytes(DAMAGES[damage](whole))
    if damage == "a gigabyte":
        os.truncate(file, 1 << 30)
    try:
        for words in commands:
            with limited() if file.stat().st_size > 1 << 25 else nullcontext():
                code = main(["--store", str(scene.store), *words])
            said = capfd.readouterr().err

            assert code in REFUSED, (key, damage, words, said)
            assert "Traceback" not in said
            assert code != 0 or "error: " not in said, (key, damage, words, said)
    finally:
        for path in {file, *files(scene.store)} - before | {file}:
            path.unlink(missing_ok=True)
        file.write_bytes(whole)


def files(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


@contextmanager
def limited() -> Iterator[None]:
    """Compares the memory that is taken with a bound far below the size of the object."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 250 << 20
    finally:
        tracemalloc.stop()
