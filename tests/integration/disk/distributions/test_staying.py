"""What `build` says of installed extras and plugins that are not bundled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.own_wheels import make_small_environment, make_wheel
from tests.support.small_project import tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

METADATA = b"Metadata-Version: 2.1\nName: lib\nVersion: 1.0\nRequires-Dist: fast; extra == 'fast'\n"
ENTRY = b"[lib.readers]\nplug = plug:main\n"


@pytest.mark.slow
def test_a_build_tells_extras_and_plugins_in_a_line_each_until_include_bundles_them(tmp_path: Path) -> None:
    wheels = (
        make_wheel(tmp_path, "lib", "1.0", {"lib.py": b"", "lib-1.0.dist-info/METADATA": METADATA}),
        make_wheel(tmp_path, "fast", "1.0", {"fast.py": b""}),
        make_wheel(tmp_path, "plug", "1.0", {"plug.py": b"", "plug-1.0.dist-info/entry_points.txt": ENTRY}),
        make_wheel(tmp_path, "speed", "1.0", {"lib_plugins/speed.py": b""}),
    )
    work = make_workplace(tmp_path / "work")
    tree(work.directory, {"job.py": "import lib\n"})
    words = ("build", "--python", str(make_small_environment(tmp_path / "env", *wheels)), "job.py")
    done = work.raybundle(*words)

    told = "installed {} that are not bundled: {}; `include = [{}]` in [tool.raybundle] bundles one"
    assert done.returncode == 0, done.stderr
    assert [line.strip() for line in done.stderr.splitlines() if "not bundled" in line] == [
        told.format("plugins", "plug for lib (lib.readers), speed for lib (lib_plugins)", '"plug"'),
        told.format("extras", "fast for lib[fast]", '"fast"'),
    ]

    tree(work.directory, {"pyproject.toml": '[tool.raybundle]\ninclude = ["plug", "fast", "speed"]\n'})
    assert "not bundled" not in work.raybundle(*words).stderr
