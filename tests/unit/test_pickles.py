"""The modules that pickles name are read without running them, in every protocol and container."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import lzma
import pickle
import pickletools
import sqlite3
import sys
import types
import zipfile
import zlib
from collections import OrderedDict
from dbm import dumb
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from raybundle.dotted import with_ancestors
from raybundle.formats import pickles
from raybundle.formats.pickles import Pickled, modules_in_text, read_pickle

if TYPE_CHECKING:
    from pathlib import Path


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


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["m.dat", "m.sav", "models/latest", "m.bin", "m.v1", "m.gz", "store.db"])
def test_a_file_of_another_name_is_one_if_it_begins_like_one(
    things: object, name: str, protocol: int
) -> None:
    assert pickles.is_pickle(f"/p.q/{name}")
    found = {*read_pickle(pickle.dumps(things, protocol), name).modules} - {"copyreg", "builtins"}
    assert found == {"shop.parts", "shop.sub.models"}
    assert {*read_pickle(pickle.dumps(made("shop.parts"), protocol), name).modules} == {"shop.parts"}


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz", "a/b.JSON", "train.py", "m.parquet"])
def test_a_file_of_another_kind_is_none(name: str) -> None:
    assert not pickles.is_pickle(name)


@pytest.mark.parametrize("text", [b"cat\ndog\n", b"(list of things)\n", b"import os\n", b"\x80 is a byte"])
def test_a_file_that_begins_in_another_way_names_nothing(text: bytes) -> None:
    assert read_pickle(text * 100, "notes") == pickles.Pickled()


def array(kind: str, data: bytes) -> bytes:
    """Returns a file of numpy (its NEP 1)."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': (1,), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode() + data


def test_the_objects_of_an_array_are_pickles(things: object) -> None:
    objects, numbers = array("|O", pickle.dumps(things, 3)), array("<i8", bytes(8))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("x.npy", numbers)
        archive.writestr("y.npy", objects)

    assert read_pickle(objects, "a.npy").modules == ("shop.parts", "shop.sub.models")
    assert read_pickle(stream.getvalue(), "b.npz").modules == ("shop.parts", "shop.sub.models")
    assert read_pickle(numbers, "c.npy") == pickles.Pickled()


def test_databases_are_searched_for_pickles(things: object, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "jobs.sqlite")
    connection.execute("create table t (name text, value blob)")
    connection.execute("insert into t values (?, ?)", ("cos\nsystem\n", pickle.dumps(things)))
    connection.commit()
    connection.close()

    assert read_pickle((tmp_path / "jobs.sqlite").read_bytes(), "jobs.sqlite").modules == (
        "shop.parts",
        "shop.sub.models",
    )


def test_each_value_of_a_shelf_is_read(things: object, tmp_path: Path) -> None:
    with dumb.open(str(tmp_path / "shelf"), "c") as shelf:  # as `shelve` does
        shelf["a"], shelf["b"] = pickle.dumps(Decimal(1)), pickle.dumps(things)

    found = {*read_pickle((tmp_path / "shelf.dat").read_bytes(), "shelf.dat").modules}

    assert found >= {"decimal", "shop.parts", "shop.sub.models"}


def test_random_bytes_are_no_warning_of_python() -> None:
    """`pickletools` undoes escapes, and warns of unknown ones. Under pytest a warning is an error."""
    assert read_pickle(b"S'\\\xd5'\n.", "model.pkl") == Pickled(fault="it is not a pickle in a known form")


@pytest.mark.parametrize("form", ["hex", "base64", "urlsafe"])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pickle_that_is_written_as_text_names_its_modules(form: str, protocol: int) -> None:
    data = pickle.dumps(OrderedDict(a=Fraction(1, 3), b=bytes(range(256))), protocol)
    written = {
        "hex": data.hex().encode(),
        "base64": base64.b64encode(data),
        "urlsafe": base64.urlsafe_b64encode(data),
    }[form]

    assert {"collections", "fractions"} <= set(modules_in_text(b'{"model": "' + written + b'"}'))
    assert {"collections", "fractions"} <= set(read_pickle(written, "m.b64").modules)


def test_other_text_names_no_modules() -> None:
    text = b"gAMEboy 80040000ffeeddccbbaa99887766554433221100 gASVAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

    assert modules_in_text(text) == set()
