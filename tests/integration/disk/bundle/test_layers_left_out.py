"""What of a distribution cannot travel as a layer: byte-code without a source, and what `site` runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.layers.describe_all import describe_layers
from raybundle.cache.documents import Cache
from raybundle.errors import RefusedFileError
from tests.support.clocks import later
from tests.support.installed import install
from tests.support.small_project import interpreter

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Distribution


def texts(distributions: list[Distribution], tmp_path: Path) -> list[str]:
    """The warnings about `distributions`."""
    layers = describe_layers(distributions, interpreter(tmp_path), Cache(tmp_path / "cache", later))
    return [warning.text for layer in layers for warning in layer.warnings]


def test_byte_code_without_its_source_is_refused_and_all_of_it_is_named_at_once(tmp_path: Path) -> None:
    shipped = ["__init__.py", "core.pyc", "__pycache__/old.cpython-311.pyc", "b.py", "b.pyc"]
    closed = [
        install(tmp_path / "site", name, {f"{name}/{path}": b"" for path in shipped})
        for name in ("one", "two")
    ]

    with pytest.raises(RefusedFileError, match=r"(?s)one 1.0: one/core\.pyc.*two 1.0: two/core") as caught:
        texts(closed, tmp_path)
    assert "b.pyc" not in str(caught.value)
    assert "`cluster-provides`" in str(caught.value.hint)
    assert "reinstall" not in str(caught.value.hint)


def test_what_a_distribution_would_run_at_start_up_is_said_to_be_left_out(tmp_path: Path) -> None:
    files = {"odd/__init__.py": b"", "odd.pth": b"import odd\n", "odd-path.pth": b"odd/lib\n"}
    each = install(tmp_path / "site", "odd", files)
    expected = ["odd-path.pth, odd.pth of odd 1.0 is left out: nodes do not run it at start-up"]

    assert texts([each], tmp_path) == expected
    assert texts([each], tmp_path) == expected  # from the cache


NAMESPACE = (
    b"import sys, types, os;has_mfs = sys.version_info > (3, 5);p = os.path.join(sys._getframe(1)"
    b".f_locals['sitedir'], *('ns',));importlib = has_mfs and __import__('importlib.util')\n"
)
"""As setuptools wrote it, without its end."""


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("distutils-precedence.pth", b"import os; enabled = True\n"),
        ("a1_coverage.pth", b"import sys; exec('import coverage')\n"),
        ("ns.a-1.0-nspkg.pth", NAMESPACE),
        ("said.pth", b"# nothing\n\n"),
    ],
)
def test_a_start_up_file_without_which_all_works_is_not_spoken_of(
    name: str, content: bytes, tmp_path: Path
) -> None:
    each = install(tmp_path / "site", "lib", {"ns/a.py": b"", name: content})

    assert texts([each], tmp_path) == []


def test_a_namespace_file_that_does_something_else_is_spoken_of(tmp_path: Path) -> None:
    each = install(tmp_path / "site", "lib", {"ns/a.py": b"", "lib-nspkg.pth": NAMESPACE + b"import lib\n"})

    assert [text.partition(" is ")[0] for text in texts([each], tmp_path)] == ["lib-nspkg.pth of lib 1.0"]


def test_files_outside_of_site_packages_that_a_job_could_need_are_said_to_be_left_out(tmp_path: Path) -> None:
    rows = [
        *("../../libomp.so,,", "/etc/passwd,,"),
        *("../../../bin/odd,,", "../../../share/man/man1/odd.1,,", "/cache/odd.cpython-311.pyc,,"),
        *("../../../LICENSE,,", "../../../THIRD_PARTY_LICENSES,,", "../../share/odd/Notice.txt,,"),
        *("../../../LICENSE-MIT,,", "../../../COPYING,,", "../../../share/odd/license.key,,"),
        "../../../etc/jupyter/odd.json,,",
    ]
    each = install(tmp_path / "site", "odd", {"odd.py": b""}, rows=rows)
    expected = "../../../share/odd/license.key, ../../libomp.so, /etc/passwd"

    assert texts([each], tmp_path) == [f"{expected} of odd 1.0 is outside site-packages and is left out"]
