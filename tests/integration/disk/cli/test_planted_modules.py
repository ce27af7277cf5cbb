"""Nothing is imported from the current directory or the project, by any Python that raybundle starts."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import raybundle
from tests.support.workplace import make_workplace

SOURCE = Path(raybundle.__file__).parent
NAMES = (
    *("aiohttp", "argparse", "ast", "base64", "codecs", "collections", "dataclasses", "email", "hashlib"),
    *("http", "json", "logging", "obstore", "pathlib", "random", "ray", "re", "secrets"),
    *("shutil", "site", "sitecustomize", "socket", "subprocess", "tempfile", "traceback", "typing", "urllib"),
    *("usercustomize", "uv", "yaml", "zipfile", "zlib"),
)
"""Of modules and packages that raybundle or its probes import, or that Python imports by itself."""
PACKAGES = ("encodings", "importlib", "kingfisher_sdk", "xml")
PLANTED = 'import os\nos.write(os.open({marks!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b"{name}\\n")\n'
CALLS = ("subprocess.run", "subprocess.Popen", "os.posix_spawn", "os.execv", "os.execve")
STARTS = {
    "bundle/layers/byte_code.py": 1,  # the compiler: `-S`, a file beside it, no PYTHON variables
    "cluster/embedded/cluster.py": 1,  # Ray, in a private directory
    "cluster/embedded/interpreter.py": 1,  # the question for Ray, in `/`
    "cluster/embedded/processes.py": 1,  # ps
    "cluster/stopping.py": 1,  # raybundle itself, with `-I`
    "functions/_driver.py": 1,  # on a node: the boot's way to the agent's Python, in `/`
    "pipeline/bisecting/bisect.py": 1,  # the user's check
    "pipeline/diffing/patching.py": 1,  # git
    "pipeline/here.py": 2,  # a bundle's own path: only the archive that was compared, in that directory
    "pipeline/snapshot.py": 1,  # git
    "pipeline/viewing/skeleton.py": 2,  # git
    "resolve/files/git_ignored.py": 1,  # git
    "resolve/interpreter/describe.py": 2,  # `-I`; the probe: a file that leaves its own directory out
    "resolve/scan/workers.py": 1,  # `-I -S`
    "resolve/trace/run.py": 1,  # what the user runs, as the user runs it
    "submission/recording/origin.py": 1,  # git
    "wheels/uv/run.py": 1,  # uv, which asks interpreters with `-I`
}
"""Places that start a process: whoever adds one decides what its Python may import, and plants here."""


def test_every_place_that_starts_a_process_is_known() -> None:
    found: dict[str, int] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        if "node" in file.relative_to(SOURCE).parts[:1]:
            continue
        text = file.read_text("utf-8")
        for call in ast.walk(ast.parse(text if "subprocess" in text else "")):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in (
                "subprocess.run",
                "subprocess.Popen",
            ):
                name = file.relative_to(SOURCE).as_posix()
                found[name] = found.get(name, 0) + 1

    assert found == STARTS


@pytest.mark.slow
def test_planted_modules_are_not_imported(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", RAYBUNDLE_LOCAL_STATE=str(tmp_path / "state"))
    marks, inner = tmp_path / "marks", work.directory / "inner"
    inner.mkdir()
    for place in (work.directory, inner):
        for name in NAMES:
            (place / f"{name}.py").write_text(PLANTED.format(marks=str(marks), name=name))
        for name in PACKAGES:
            (place / name).mkdir()
            (place / name / "__init__.py").write_text(PLANTED.format(marks=str(marks), name=name))
    (work.directory / "pyproject.toml").write_text('[project]\nname = "planted"\nversion = "1"\n')
    (work.directory / "task.py").write_text("import packaging\nprint(1)\n")
    (work.directory / "keys.txt").write_text("key = 'AKIA'\n")
    command = str(Path(sys.executable).with_name("raybundle"))
    ask = "from raybundle.cluster.embedded.interpreter import find_ray; find_ray({!r})"

    for cwd, target in ((work.directory, "task.py"), (inner, "../task.py")):
        for words in (["build", target], ["plan", target], ["why", target, "packaging"], ["local", "status"]):
            done = work.command([command, *words], cwd=cwd)
            assert done.returncode == 0, (words, done.stderr)
        found = work.command([sys.executable, "-I", "-c", ask.format(sys.executable)], cwd=cwd)
        assert found.returncode == 0, found.stderr

    assert not marks.exists() or marks.read_text() == ""


@pytest.mark.slow
def test_python_m_raybundle_imports_nothing_from_the_current_directory(
    tmp_path: Path, secret_rules: Path
) -> None:
    """Python itself imports parts of its library from there before the program runs, so none is planted."""
    work = make_workplace(tmp_path / "work", XDG_CACHE_HOME=str(secret_rules.parents[1]))
    marks = tmp_path / "marks"
    for name in ("aiohttp", "kingfisher_sdk", "obstore", "packaging", "ray", "uv", "yaml"):
        (work.directory / f"{name}.py").write_text(PLANTED.format(marks=str(marks), name=name))
    (work.directory / "task.py").write_text("KEY = 'AKIAIOSFODNN7EXAMPLE'\n")
    (work.directory / "env.yaml").write_text("env_vars: {A: b}\n")

    done = work.command([sys.executable, "-m", "raybundle", "plan", "--runtime-env", "env.yaml", "task.py"])

    assert done.returncode == 0, done.stderr

    assert not marks.exists(), marks.read_text()
