"""Laws of layers: what is in them decides their digest, and how it came here does not."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from raybundle.bundle.layers.describe import describe
from raybundle.cache.documents import Cache
from tests.support.installed import install, set_times

if TYPE_CHECKING:
    from raybundle.model import Digest

PATHS = st.sampled_from(
    ["pkg/a.py", "pkg/b.py", "pkg/deep/c.bin", "pkg/sch\u00f6n.txt", "one.py", "p/x,y.py"]
)
FILES = st.dictionaries(PATHS, st.tuples(st.binary(max_size=8), st.booleans()), min_size=1, max_size=4)
Files = dict[str, tuple[bytes, bool]]


def digest_of(files: Files, *, seed: int = 0, installer: str = "uv", compiled: bool = False) -> Digest:
    """Installs the files in an order of `seed`, and describes them."""
    order = list(files)
    random.Random(seed).shuffle(order)  # noqa: S311 - an order
    extra = {"pkg-1.0.dist-info/INSTALLER": installer.encode()}
    if compiled:
        extra["pkg/__pycache__/a.cpython-311.pyc"] = b"byte-code"
    with tempfile.TemporaryDirectory() as name:
        site = Path(name, "site")
        each = install(site, "pkg", {**extra, **{path: files[path][0] for path in order}})
        for path, (_, executable) in files.items():
            (site / path).chmod(0o755 if executable else 0o600)
            if seed % 2:
                set_times(site / path)
        lines = (site / "pkg-1.0.dist-info/RECORD").read_text().splitlines()
        random.Random(seed).shuffle(lines)  # noqa: S311 - an order
        (site / "pkg-1.0.dist-info/RECORD").write_text(os.linesep.join(lines))
        return describe(each, Cache(Path(name, "cache"))).digest


@settings(deadline=None, max_examples=25)
@given(FILES, st.integers(1, 9), st.booleans())
def test_how_files_came_here_does_not_change_the_digest(files: Files, seed: int, compiled: bool) -> None:
    assert digest_of(files, seed=seed, installer="pip", compiled=compiled) == digest_of(files)


@settings(deadline=None, max_examples=25)
@given(FILES, FILES)
def test_any_changed_byte_mode_or_path_changes_the_digest(one: Files, other: Files) -> None:
    assert (digest_of(one) == digest_of(other)) == (one == other)


@settings(deadline=None, max_examples=25)
@given(FILES, st.data())
def test_one_byte_more_or_another_mode_changes_the_digest(files: Files, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(sorted(files)))
    content, executable = files[path]
    longer = {**files, path: (content + b"x", executable)}
    other_mode = {**files, path: (content, not executable)}

    assert len({digest_of(each) for each in (files, longer, other_mode)}) == 3
