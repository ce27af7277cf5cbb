from __future__ import annotations

import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache
from raybundle.resolve.distributions.needed import find_distributions
from raybundle.resolve.distributions.values import Needed, Wanted
from tests.support.clocks import early, later
from tests.support.small_project import interpreter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def install(site: Path, version: str, record: str = "pkg/__init__.py,,3\n") -> None:
    for old in site.glob("pkg*"):
        shutil.rmtree(old)
    (site / f"pkg-{version}.dist-info").mkdir(parents=True)
    (site / f"pkg-{version}.dist-info/RECORD").write_bytes(record.encode())
    (site / "pkg").mkdir()


def needed(work: Path, clock: Callable[[], int] = later) -> Needed:
    site = str(work / "site")
    asked = replace(interpreter(work), site=(site,))
    wanted = Wanted({"pkg": f"{site}/pkg/__init__.py"})
    return find_distributions(wanted, asked, Cache(work / "answers", clock))


def versions(work: Path) -> list[tuple[str, int]]:
    return [(each.version, each.bytes) for each in needed(work).distributions]


@pytest.mark.parametrize(
    "record",
    ['"pkg/__init__.py","sha256=x","3"\r\n', "./pkg/__init__.py,,3\n", "pkg\\__init__.py,,3\r\n"],
)
def test_a_record_in_another_spelling_names_the_owner(tmp_path: Path, record: str) -> None:
    install(tmp_path / "site", "1.0", record)

    assert (versions(tmp_path), needed(tmp_path).unowned) == ([("1.0", 3)], ())


def test_an_upgrade_that_sets_the_time_back_is_seen(tmp_path: Path) -> None:
    install(tmp_path / "site", "1.0")
    os.utime(tmp_path / "site", (1, 1))
    before = versions(tmp_path)
    install(tmp_path / "site", "2.0")
    os.utime(tmp_path / "site", (1, 1))

    assert (before, versions(tmp_path)) == ([("1.0", 3)], [("2.0", 3)])


@pytest.mark.parametrize(("clock", "kept"), [(early, 0), (later, 1)])
def test_the_answer_about_a_folder_that_has_just_changed_is_not_kept(
    tmp_path: Path, clock: Callable[[], int], kept: int
) -> None:
    install(tmp_path / "site", "1.0")

    assert [each.version for each in needed(tmp_path, clock).distributions] == ["1.0"]
    assert len(list(tmp_path.glob("answers/distributions/*"))) == kept
