"""A driver outside the Jobs API is told of modules that its workers have from elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

DRIVER = """\
import sys

sys.path.insert(0, {first!r})
import part
import raybundle

raybundle.runtime_env("job.py", notify=lambda text: print(text, file=sys.stderr))
print(part.__file__)
"""


def test_following_the_hint_ends_the_warning(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", RAYBUNDLE_STORE=str(tmp_path / "store"))
    other = tmp_path / "other"
    other.mkdir()
    for place in (work.directory, other):
        (place / "part.py").write_text("")
    (work.directory / "job.py").write_text("import part\n")
    driver = work.directory / "notebook_like.py"

    def said(first: Path) -> str:
        driver.write_text(DRIVER.format(first=str(first)))
        done = work.command([sys.executable, str(driver)])
        assert (done.returncode, done.stdout) == (0, f"{first}/part.py\n"), done.stderr
        return str(done.stderr)

    warned = said(other)
    assert f"this driver has `part` from {other}/part.py" in warned
    assert f"hint: put {work.directory} before other directories on the driver's `sys.path`" in warned
    assert "this driver has" not in said(work.directory)
