"""A scanned tree is freed by its references: no collector runs while a target is resolved."""

from __future__ import annotations

import ast
import gc
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.resolve.facts import from_json, to_json
from raybundle.resolve.interpreter.markers import Environment
from raybundle.resolve.scan.scan import scan

if TYPE_CHECKING:
    from collections.abc import Iterator

LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")
SOURCES = sorted(Path(__file__).parents[3].joinpath("projects").rglob("*.py"))
COMMANDS = """
import subprocess, sys, importlib, logging.config
PACKAGE = "pkg"
subprocess.run([sys.executable, "-m", PACKAGE + ".main"])
subprocess.run([sys.executable, "-c", "import other"])
exec("import third")
logging.config.dictConfig({"handlers": {"a": {"class": "pkg.Handler", "()": f"{PACKAGE}.make"}}})
importlib.import_module(f"{PACKAGE}.{sys.argv[1]}")
open(PACKAGE + "/x.csv")
"""


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


@pytest.mark.usefixtures("uncollected")
def test_no_tree_waits_for_the_collector() -> None:
    for source in (COMMANDS.encode(), *(each.read_bytes() for each in SOURCES)):
        scan(source, "job.py", LINUX)
    gc.collect()

    assert [each for each in gc.garbage if isinstance(each, ast.AST)] == []


def test_facts_of_two_files_share_what_is_the_same_in_both() -> None:
    rows = [to_json(scan(b"import pkg.module\nfrom pkg import name", "job.py", LINUX)) for _ in range(2)]
    first, second = (from_json(row).imports for row in rows)

    assert first == second
    assert all(one.form is other.form for one, other in zip(first, second, strict=True))
