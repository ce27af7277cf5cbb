from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from raybundle.model import (
    Absent,
    ArchivePath,
    DataFile,
    Distribution,
    Edge,
    Missing,
    Module,
    ModuleName,
    Opened,
    Resolution,
    Root,
    RootSymbol,
    Shadowed,
    Unknown,
    Warning,
)
from raybundle.resolve.answers import rows
from raybundle.resolve.answers.rows import GIVEN, ROWS, CannotKeepError, from_document, to_document

NAME, FILE, SYMBOL = ModuleName("a.\xe9\udce9"), Path("/p/a b.py"), RootSymbol("project:.")
FOUND: dict[str, Any] = {
    "path": (SYMBOL, RootSymbol("ray")),
    "roots": (Root(SYMBOL, Path("/p")),),
    "modules": (
        Module(NAME, "module", FILE, SYMBOL, ArchivePath("project/a.py"), "static", "ab" * 32, b"\x00\xff"),
        Module(ModuleName("n"), "namespace", None, SYMBOL, None, "static"),
    ),
    "edges": tuple(Edge(NAME, ModuleName("n"), FILE, line, "import", bool(line % 2)) for line in range(9)),
    "data": (DataFile(FILE, ArchivePath("project/b"), "data of package a"),),
    "distributions": (
        Distribution("d", "1", "ray", 2**40, (NAME,)),
        Distribution(
            "e", "1", "bundle", 0, (), Path("/site/e-1.dist-info"), "d", "d.m", "git+https://h/e@c0"
        ),
    ),
    "optional": (Distribution("f", "2", "bundle", 3, required_by="d[x]"),),
    "plugins": (Distribution("g", "2", "bundle", 3, required_by="d (d.x)"),),
    "mentioned": ("g",),
    "obstacles": (Warning("odd", FILE, 2, "mend it"),),
    "missing": (Missing(NAME, NAME, FILE, 3, NAME),),
    "warnings": (Warning("odd", FILE, 2, "mend it"), Warning("odd")),
    "not_found": (),
    "absent": (Absent("h", "optional", 2, (FILE, Path("/p/c.py")), ("1", "12"), ("h.i",)),),
    "unknown": (Unknown(NAME, FILE, 4, "f(x)", "a.*"),),
    "opened": (Opened(FILE, 5, "open(x)", passed=True),),
    "shadowed": (Shadowed(NAME, FILE, (Path("/q/a.py"),)), Shadowed(NAME, FILE, ())),
}
HERE: dict[str, Any] = dict.fromkeys(GIVEN)


@pytest.mark.parametrize("many", [1, 1000])
def test_what_is_written_and_read_is_the_same_resolution(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "_MANY", many)
    resolution = Resolution(**HERE, **FOUND)
    again = from_document(json.loads(json.dumps(to_document(resolution))), HERE)

    assert again == resolution
    assert {type(each) for name in ROWS for each in getattr(again, name)} == set(ROWS.values())


def test_every_field_of_a_resolution_has_a_form() -> None:
    assert set(FOUND) | set(GIVEN) == {each.name for each in fields(Resolution)}


def test_what_has_no_form_is_not_kept() -> None:
    odd: Any = Missing(NAME, NAME, FILE, -1, NAME)

    with pytest.raises(CannotKeepError):
        to_document(Resolution(**HERE, **{**FOUND, "missing": (odd,)}))
