"""The modules that pickles name are read without running them, in every protocol and container."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import pickletools
import sys
import types
import zipfile
import zlib
from decimal import Decimal

import pytest

from raybundle.dotted import with_ancestors
from raybundle.formats import pickles
from raybundle.formats.pickles import read_pickle


def made(name: str, member: str = "Thing") -> type:
    """Returns a class of a module that is on no disk."""
    for ancestor in with_ancestors(name):
        module = sys.modules.setdefault(ancestor, types.ModuleType(ancestor))
    found: type = module.__dict__.setdefault(member, type(member, (), {"__module__": name}))
    return found


@pytest.fixture
def things() -> object:
    """Objects of two modules, the second of which is named twice."""
    one, two, three = made("shop.parts"), made("shop.sub.models"), made("shop.sub.models", "Other")
    return {"one": [one(), "shop.sub.models", 3.5], "two": (two, three()), "rest": [None] * 4}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_each_protocol_names_its_modules(things: object, protocol: int) -> None:
    data = pickle.dumps(things, protocol)

    assert {*read_pickle(data, "m.pkl").modules} - {"copyreg", "builtins"} == {
        "shop.parts",
        "shop.sub.models",
    }
    assert read_pickle(data, "m.pkl").fault == ""


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_what_is_beyond_the_steps_is_searched(protocol: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "_MOST_STEPS", 3)
    things = [1.5, 2.5, 3.5, made("shop.parts")(), made("shop.sub.models"), made("shop.sub.models", "Other")]
    found = {*read_pickle(pickle.dumps(things, protocol), "m.pkl").modules}

    assert {"shop.parts", "shop.sub.models"} <= found


def test_optimised_pickles_and_several_in_a_file_are_read(things: object) -> None:
    data = pickletools.optimize(pickle.dumps(Decimal(1))) + pickle.dumps(things)

    assert read_pickle(data, "m.pickle").modules == ("decimal", "shop.parts", "shop.sub.models")


@pytest.mark.parametrize("packer", [gzip, zlib, bz2, lzma], ids=lambda each: each.__name__)
def test_compressed_pickles_are_read(things: object, packer: types.ModuleType) -> None:
    data = packer.compress(pickle.dumps(things))

    assert read_pickle(data, "m.joblib").modules == ("shop.parts", "shop.sub.models")


def test_the_pickle_in_an_archive_is_read(things: object) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps(things, 2))
        archive.writestr("net/data/0", b"cos\nsystem\n" * 3)

    assert set(read_pickle(stream.getvalue(), "net.pt").modules) - {"copyreg", "builtins"} == {
        "shop.parts",
        "shop.sub.models",
    }


class Loads:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return __import__("importlib").import_module, ("shop.by_name",)


def test_a_module_that_a_function_imports_is_named() -> None:
    assert "shop.by_name" in read_pickle(pickle.dumps(Loads()), "f.pkl").modules


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('it ran')",)


def test_nothing_is_run() -> None:
    assert read_pickle(pickle.dumps(Runs()), "f.pkl").modules == ("builtins",)


def test_plain_values_name_nothing_and_text_about_code_neither() -> None:
    data = pickle.dumps(["cfoo\nbar\n", "shop.parts", b"cfoo\nbar\n", {"a": 1}] * 10)

    assert read_pickle(data, "m.pkl") == pickles.Pickled()
    assert read_pickle(b"", "m.pkl") == pickles.Pickled()


@pytest.mark.parametrize("data", [b"version https://git-lfs", b"\x1f\x8bdamaged", b"PK\x03\x04no archive"])
def test_what_is_no_pickle_is_said_where_the_name_says_that_it_is_one(data: bytes) -> None:
    assert read_pickle(data, "m.pkl").fault
    assert read_pickle(data, "m.pt").fault == ""


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickles, "LARGEST", 1000)

    assert "when unpacked" in read_pickle(zlib.compress(bytes(10_000)), "m.joblib").fault
    assert "more than are read" in (pickles.too_large(1001, "m.joblib") or "")
    assert (pickles.too_large(1001, "m.bin"), pickles.too_large(1000, "m.joblib")) == ("", None)


@pytest.mark.parametrize("name", ["m.dat", "m.sav", "models/latest", "m.bin"])
def test_a_file_of_another_name_is_one_if_it_begins_like_one(things: object, name: str) -> None:
    assert pickles.is_pickle(f"/p.q/{name}")
    assert read_pickle(pickle.dumps(things), name).modules == ("shop.parts", "shop.sub.models")
    assert read_pickle(pickle.dumps(things, 0), name) == pickles.Pickled()
    assert not pickles.is_pickle("/p/m.csv")
