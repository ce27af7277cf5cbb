from __future__ import annotations

import pytest

from raybundle.resolve.interpreter.markers import Environment
from raybundle.resolve.scan.scan import scan

LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")


def deferred(source: str) -> list[str]:
    """Returns how each import of `a` is deferred; none for one that is left out."""
    found = scan(source.encode(), "job.py", LINUX).imports
    return [each.guard.deferred for each in found if each.form.name == "a"]


@pytest.mark.parametrize(
    "source",
    [
        "import platform\nIS_MAC = platform.system() == 'Darwin'\nif IS_MAC:\n  import a",
        "import sys\nW = sys.platform.startswith('w')\nL = not W\nif W:\n  import a\nelif not L:\n  import a",
        "import sys\nPY = sys.version_info[:2]\nif PY < (3, 8):\n  import a",
        "import platform\n_on = platform.system()\nif _on == 'Darwin' or _on == 'Windows':\n  import a",
        "import platform\nsystem = platform.system().lower()\nif system == 'windows':\n  import a",
        "from platform import system\nif system() == 'Darwin':\n  import a",
        "from sys import platform as on\nif on == 'win32':\n  import a",
        "import sys as _sys\nif _sys.platform == 'win32':\n  import a",
        "import os as o\nWINDOWS: bool = o.name == 'nt'\ndef f():\n  if WINDOWS:\n    import a",
        "import sys\nPY2 = sys.version_info[0] == 2\nOLD = PY2 or False\nif OLD:\n  import a",
        "import sys\nKIND = 'win' if sys.platform == 'win32' else 'posix'\nif KIND == 'win':\n  import a",
        "import platform\nif (IS_MAC := platform.system() == 'Darwin'):\n  import a",
    ],
)
def test_a_platform_in_a_variable_decides(source: str) -> None:
    assert deferred(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "import sys\nW = sys.platform == 'win32'\nW = True\nif W:\n  import a",
        "import sys\nW = sys.platform == 'win32'\ndef f(W):\n  if W:\n    import a",
        "import sys\nW = sys.platform == 'win32'\nfor W in (1, 2): pass\nif W:\n  import a",
        "import sys\nW = sys.platform == 'win32'\ndef f():\n  global W\n  W = 1\nif W:\n  import a",
        "DEBUG = False\nif DEBUG:\n  import a",
        "import os\nW = os.getenv('platform') == 'win32'\nif W:\n  import a",
        "from plat import IS_MAC\nif IS_MAC:\n  import a",
    ],
)
def test_what_may_be_another_value_decides_nothing(source: str) -> None:
    assert len(deferred(source)) == 1


def test_what_holds_on_the_platform_runs_at_once() -> None:
    source = "import sys\nLINUX = sys.platform == 'linux'\nif LINUX:\n  import a"

    assert deferred(source) == [""]
