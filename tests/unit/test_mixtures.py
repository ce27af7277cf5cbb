"""What a mixture of two bundles asks of a node: what the files need that it takes from both."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raybundle.bundle.values import ManifestFile, PythonTag, ScriptEntry
from raybundle.model import ArchivePath, RootSymbol
from raybundle.pipeline.bisecting.mixtures import Side, differences, mix
from tests.support.delivery_scene import MANIFEST, STORED

NATIVE = PythonTag("cpython", "3.11", "cpython-311-x86_64-linux-gnu", "linux-x86_64", "glibc 2.9")
NEWER = replace(NATIVE, libc="glibc 2.34")
PURE = PythonTag("cpython", "3.11")


def side(python: PythonTag, **files: str) -> Side:
    """A bundle without layers; each file has a hash of this digit."""
    rows = {"job.py": "0", **{name.replace("_so", ".so"): digit for name, digit in files.items()}}
    manifest = replace(
        MANIFEST,
        target=ScriptEntry(ArchivePath("project/job.py")),
        python=python,
        path=tuple(map(RootSymbol, ("project:.", "stdlib", "ray"))),
        files=tuple(
            ManifestFile(ArchivePath(f"project/{name}"), False, 1, digit * 64)  # noqa: FBT003 - as named
            for name, digit in sorted(rows.items())
        ),
        layers=(),
    )
    return Side(replace(STORED, manifest=manifest))


@pytest.mark.parametrize(
    ("good", "bad", "libc"),
    [
        (side(PURE), side(NEWER, a_so="1", b_so="2"), "glibc 2.34"),
        (side(NATIVE, a_so="0", b_so="0"), side(NEWER, a_so="1", b_so="2"), "glibc 2.34"),
        (side(NEWER, a_so="0", b_so="0"), side(NATIVE, a_so="1", b_so="2"), "glibc 2.34"),
        (side(replace(NATIVE, libc=None), a_so="0", b_so="0"), side(NATIVE, a_so="1", b_so="2"), "glibc 2.9"),
    ],
)
def test_a_mixture_needs_the_newest_libc_of_both_and_an_end_of_it_is_that_bundle(
    good: Side, bad: Side, libc: str
) -> None:
    found = differences(good, bad)
    first = mix(good, bad, found[:1])

    assert (first.fault, first.manifest.python) == (None, replace(NATIVE, libc=libc))
    assert mix(good, bad, ()).manifest == good.stored.manifest
    assert mix(good, bad, found).manifest == bad.stored.manifest
