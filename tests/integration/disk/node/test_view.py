"""What a process says of a module: the file that it would import, without an import."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.support.small_project import tree

VIEW = Path(__file__).parents[4] / "raybundle/node/raybundle_view.py"
ASK = """
import json, sys
sys.path[:0] = json.loads(sys.argv[1])
view = {}
exec(compile(open(sys.argv[2]).read(), "view", "exec"), view)
print(json.dumps([view["found"](name, {})["file"] for name in sys.argv[3:]]))
print(json.dumps([name for name in sys.argv[3:] if name in sys.modules]))
"""


def test_a_module_in_a_namespace_of_a_namespace_is_found_and_not_imported(tmp_path: Path) -> None:
    tree(tmp_path, {"one/company/alpha/a.py": "", "two/company/beta/b.py": ""})
    roots = [str(tmp_path / name) for name in ("one", "two")]
    names = ["company.alpha.a", "company.beta.b", "company.gamma.c", "company.alpha"]

    command = [sys.executable, "-c", ASK, json.dumps(roots), str(VIEW), *names]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    found, imported = map(json.loads, done.stdout.splitlines())
    alpha = tmp_path / "one/company/alpha"
    assert found == [str(alpha / "a.py"), str(tmp_path / "two/company/beta/b.py"), None, str(alpha)]
    assert imported == []
