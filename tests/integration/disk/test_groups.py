"""scripts/test_groups.py: what needs only .venv runs while the other environments are made, or are not."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.support.booting import make_venv
from tests.support.small_project import tree

REPOSITORY = Path(__file__).resolve().parents[3]
PARTS = ("scripts/test_groups.py", "tests/support/durations.py")
EARLY, LATE = "tests/unit/test_early.py", "tests/integration/nodes/test_late.py"
TEST = "from pathlib import Path\ndef test_it():\n    print('ran', Path('made').exists())\n"
REFUSED = "ERROR integration-nodes: its environments were not made, see above"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("making", "code", "said"),
    [
        ("sleep 1; touch made; echo made", 0, "all 2 groups passed"),
        ("touch made; echo half", 1, REFUSED),
    ],
)
def test_tests_that_need_other_environments_wait_for_them_and_fail_without(
    tmp_path: Path, making: str, code: int, said: str
) -> None:
    for name in PARTS:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    tree(tmp_path, {EARLY: "def test_it():\n    pass\n", LATE: "def test_it():\n    open('made')\n"})
    make_venv(tmp_path / "venv", sys.executable)
    [site] = tmp_path.glob("venv/lib/python3*/site-packages")
    (site / "tests.pth").write_text(sysconfig.get_path("purelib"))
    script = f"exec 3< <({making}); exec venv/bin/python scripts/test_groups.py --made 3 -rA"

    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == code, done.stdout + done.stderr
    assert said in "".join(done.stdout.splitlines()[-2:])
    assert f"PASSED {EARLY}::test_it" in done.stdout
    assert (f"PASSED {LATE}::test_it" in done.stdout) is (code == 0)
