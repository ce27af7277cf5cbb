"""What a real interpreter imports after its driver edited `sys.path`, against what was resolved."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from raybundle.model import ScriptTarget
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.known import knowing

FILES = ["m.py", "lib/m.py", "other/m.py", "other/deep/n.py", "site/inner/m.py"]


def project(directory: Path, driver: str) -> Path:
    for name in FILES:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    (directory / "pyproject.toml").write_text("")
    (directory / "link").symlink_to("other/deep")
    (directory / "site/more.pth").write_text("# a comment\ninner\nnowhere\n")
    (directory / "job.py").write_text(
        f"import os, site, sys\nfrom pathlib import Path\n{driver}\nimport m\nprint(m.__file__)"
    )
    return directory / "job.py"


def really_taken(script: Path, environ: dict[str, str]) -> str:
    done = subprocess.run([sys.executable, script], env=environ, cwd=script.parent, check=True, stdout=-1)
    return os.path.realpath(done.stdout.decode().strip())


@pytest.mark.parametrize(
    "driver",
    [
        "sys.path.insert(0, os.path.join('link', '..'))",
        "sys.path.insert(0, Path('lib').resolve())",
        "sys.path[0] = str(Path('lib').resolve())",
        "site.addsitedir('site')\ndel_ = sys.path\nsys.path[0] = os.path.abspath('other/deep')",
        "if os.path.dirname(__file__) not in sys.path:\n  sys.path.insert(0, 'lib')",
        "os.chdir('site')\nsys.path.insert(0, 'inner')",
        "for each in sorted((Path(__file__).parent / 'site').iterdir()):\n  sys.path.insert(0, str(each))",
        "for each in os.listdir('site'):\n  sys.path.insert(0, os.path.join('site', each))",
        "import glob\nsys.path[:0] = glob.glob('oth*')",
        "for each in Path(__file__).parent.glob('*/inner'):\n  sys.path.insert(0, str(each))",
        "ROOT = 'l'\nROOT += 'ib'\nsys.path[:0] = [ROOT]",
    ],
)
def test_the_file_chosen_after_edits_is_the_one_that_python_chose(tmp_path: Path, driver: str) -> None:
    work = tmp_path.resolve()
    script = project(work, driver)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    described = describe(Path(sys.executable), environ, work, knowing(work / "cache"))
    found = resolve(ScriptTarget(script), ResolveSettings(), described, work, knowing(work / "cache"))
    files = {str(each.name): str(each.file) for each in found.modules}

    assert os.path.realpath(files["m"]) == really_taken(script, environ)
