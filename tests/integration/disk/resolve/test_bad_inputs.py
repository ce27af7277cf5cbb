"""Files and trees that are odd or broken: each has one clear outcome, and none a traceback."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.collect import collect
from raybundle.cache.documents import Cache
from raybundle.cli.main import main
from raybundle.errors import RefusedFileError
from raybundle.model import ScriptTarget
from raybundle.resolve.interpreter.describe import describe
from raybundle.resolve.resolve import ResolveSettings, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MEMORY = 1 << 30
"""Bytes of address space in which a module of 10 MB must be read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How `plan` ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def modules(self) -> set[str]:
        return {each["name"] for each in json.loads(self.stdout)["modules"]}

    @property
    def message(self) -> str:
        """The error; there is exactly one, and no traceback."""
        assert self.stderr.count("error: ") == 1, self.stderr
        assert "Traceback" not in self.stderr
        return self.stderr.partition("error: ")[2].partition("\nhint")[0]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, in which the user stands."""
    directory = tmp_path.resolve() / "p"
    directory.mkdir()
    (directory / "pyproject.toml").touch()
    monkeypatch.chdir(directory)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    return directory


@pytest.fixture
def plan(project: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Writes files into the project and plans a script of it."""

    def run(files: Mapping[str, str | bytes], script: str = "job.py") -> Answer:
        write(project, files)
        code = main(["--json", "plan", script])
        return Answer(code, *capfd.readouterr())

    return run


def write(project: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())


def without_privilege(project: Path) -> Answer:
    """Plans the script in a process to which permissions apply, whoever runs the tests."""
    prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if prefix and not shutil.which("setpriv"):
        pytest.skip("permissions do not bind root, and there is no setpriv")
    command = [*prefix, sys.executable, "-m", "raybundle", "--json", "plan", "job.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=60)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_a_module_without_read_permission_is_refused_by_name(project: Path) -> None:
    write(project, {"job.py": "import a", "a.py": ""})
    (project / "a.py").chmod(0)

    answer = without_privilege(project)

    assert answer.code == 3
    assert f"{project}/a.py is imported but cannot be read" in answer.message


@pytest.mark.parametrize(
    ("job", "file", "hint"),
    [
        ('open("words.txt").close()', "words.txt", "make the file readable; else `# raybundle: ignore`"),
        ("import pkg", "pkg/words.txt", "make it readable if the job needs it, or name it in `exclude` of"),
    ],
    ids=["named", "of a package"],
)
def test_a_data_file_without_read_permission_travels_once_it_is_readable(
    project: Path, job: str, file: str, hint: str
) -> None:
    write(project, {"job.py": job, "pkg/__init__.py": "", file: "words"})
    (project / file).chmod(0)

    refused = without_privilege(project)
    (project / file).chmod(0o600)  # as the hint says
    taken = without_privilege(project)

    assert f"{file} is left out: it cannot be read" in refused.stderr
    assert f"hint: {hint}" in refused.stderr
    assert f"project/{file}" in {each["path"] for each in json.loads(taken.stdout)["files"]}
    assert (refused.code, taken.code, taken.stderr) == (0, 0, "")


@pytest.mark.parametrize("mode", [0o000, 0o100, 0o400])
def test_a_package_directory_without_permission_is_named(project: Path, mode: int) -> None:
    write(project, {"job.py": "import pkg.a", "pkg/__init__.py": "", "pkg/a.py": ""})
    (project / "pkg").chmod(mode)

    answer = without_privilege(project)
    (project / "pkg").chmod(0o700)

    assert answer.code == 3
    assert "pkg" in answer.message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (b"import os\nx = = 1\n", "a.py:2: invalid syntax"),
        (b"# coding: klingon\nimport b\n", "klingon"),
        ("# coding: utf-8\nx = 'é'\n".encode("latin-1"), "a.py"),
        (b"import b\0\n", "null bytes"),
        (b"x = " + b"(" * 300, "a.py:1: too many nested parentheses"),
        ("# coding: latin-1\n".encode("utf-8-sig"), "a.py"),
        ("import b\n".encode("utf-16"), "a.py"),
    ],
    ids=["syntax", "unknown-codec", "lying-cookie", "null", "nested", "bom-against-cookie", "utf-16"],
)
def test_a_module_that_is_no_python_is_one_error_with_its_file(
    plan: Callable[..., Answer], source: bytes, said: str
) -> None:
    answer = plan({"job.py": "import a", "a.py": source, "b.py": ""})

    assert answer.code == 3
    assert "cannot parse" in answer.message
    assert "a.py" in answer.message
    assert said in answer.message


@pytest.mark.parametrize(
    "source",
    [
        "# coding: latin-1\nname = 'é'\nimport b\n".encode("latin-1"),
        "name = 'é'\nimport b\n".encode("utf-8-sig"),
        b"import a, job\r\nimport b\r\n",
        b"#!/usr/bin/env python\r# vim: set fileencoding=cp1252 :\rimport b\r",
        b"import b\n\x0c\n",
        b"x = " + b"1+" * 500 + b"1\nimport b\n",
    ],
    ids=["latin-1", "bom", "circular", "old-mac", "form-feed", "deep"],
)
def test_a_module_that_python_reads_is_read_and_followed(plan: Callable[..., Answer], source: bytes) -> None:
    answer = plan({"job.py": "import a", "a.py": source, "b.py": "import a"})

    assert answer.code == 0, answer.stderr
    assert {"a", "b"} <= answer.modules


def test_what_is_no_file_is_no_module(project: Path, plan: Callable[..., Answer]) -> None:
    os.mkfifo(project / "pipe.py")
    (project / "folder.py").mkdir()
    (project / "loop.py").symlink_to("loop.py")
    (project / "ring").symlink_to("ring")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sock.py")
        answer = plan({"job.py": "import pipe\nimport folder\nimport loop\nimport ring\nimport sock\n"})

    assert answer.code == 3
    assert [line.split("`")[1] for line in answer.message.splitlines()] == [
        *("pipe", "folder", "loop", "ring", "sock")
    ]


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda name: Path(name).symlink_to(name)])
def test_a_script_that_is_no_file_is_an_error(
    plan: Callable[..., Answer], make: Callable[[str], None]
) -> None:
    make("job.py")

    answer = plan({})

    assert answer.code in {2, 3}
    assert "job.py" in answer.message


def test_a_package_that_links_to_itself_is_walked_once(project: Path, plan: Callable[..., Answer]) -> None:
    source = "import importlib, sys\nimportlib.import_module(f'pkg.{sys.argv[1]}')"
    write(project, {"pkg/__init__.py": "", "pkg/a.py": "", "pkg/words.txt": "x"})
    (project / "pkg/again").symlink_to(".")

    answer = plan({"job.py": source})

    assert answer.code == 0, answer.stderr
    assert {"pkg", "pkg.a"} <= answer.modules
    assert len(answer.modules) < 10


@pytest.mark.slow
def test_a_generated_module_of_10_mb_is_read_in_a_gigabyte(project: Path) -> None:
    rows = "".join(f"    ({number}, '{'row ' * 24}', None),\n" for number in range(90_000))
    write(project, {"job.py": "import a", "a.py": f"import b\nROWS = [\n{rows}]\n", "b.py": ""})
    assert (project / "a.py").stat().st_size > 10_000_000

    command = [sys.executable, "-m", "raybundle", "--json", "plan", "job.py"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY)),
    )

    assert done.returncode == 0, done.stderr[-2000:]
    assert "b" in Answer(0, done.stdout, "").modules


def test_names_with_spaces_and_of_other_alphabets_travel(plan: Callable[..., Answer]) -> None:
    files = {
        "my job.py": "import größe.länge\nimport ﬁle",
        "größe/länge.py": "",
        "file.py": "",
        "größe/ä b.txt": "",
    }
    answer = plan(files, "my job.py")

    assert answer.code == 0, answer.stderr
    assert {"größe.länge", "file"} <= answer.modules


def test_a_decomposed_file_name_is_found_as_python_finds_it(plan: Callable[..., Answer]) -> None:
    decomposed = unicodedata.normalize("NFD", "größe")

    answer = plan({"job.py": f"import {decomposed}", f"{decomposed}.py": ""})

    assert answer.code == 3  # Python looks for the composed name
    assert "cannot find `größe`" in answer.message


def test_two_names_that_are_one_when_composed_are_refused(plan: Callable[..., Answer]) -> None:
    both = [unicodedata.normalize(form, "pkg/größe.txt") for form in ("NFC", "NFD")]
    answer = plan({"job.py": "import pkg", "pkg/__init__.py": "", **dict.fromkeys(both, "")})

    assert answer.code == 3
    assert r"gr\xf6\xdfe.txt' and" in answer.message or r"gro\u0308\xdfe.txt' and" in answer.message


def test_modules_that_differ_only_in_case_are_refused(plan: Callable[..., Answer]) -> None:
    answer = plan({"job.py": "import words\nimport Words", "words.py": "", "Words.py": ""})

    assert answer.code == 3
    assert "`project/Words.py` and `project/words.py`" in answer.message


def test_an_undecodable_file_name_is_refused_where_it_would_travel(
    project: Path, plan: Callable[..., Answer]
) -> None:
    write(project, {"pkg/__init__.py": ""})
    os.close(os.open(os.fsencode(project) + b"/pkg/\xff.txt", os.O_CREAT | os.O_WRONLY))

    answer = plan({"job.py": "import pkg"})

    assert answer.code == 3
    assert "is not valid UTF-8" in answer.message


def test_an_empty_script_in_an_empty_project_is_a_bundle(plan: Callable[..., Answer]) -> None:
    answer = plan({"job.py": ""})

    assert answer.code == 0, answer.stderr
    assert answer.modules == {"__main__"}


def test_a_project_without_the_script_says_so(plan: Callable[..., Answer]) -> None:
    answer = plan({})

    assert answer.code in {2, 3}
    assert "job.py" in answer.message


def test_a_script_needs_no_suffix(plan: Callable[..., Answer]) -> None:
    answer = plan({"bin/job": "#!/usr/bin/env python\nimport near", "bin/near.py": ""}, "bin/job")

    assert answer.code == 0, answer.stderr
    assert answer.modules == {"__main__", "near"}


@pytest.mark.parametrize("change", ["removed", "a directory"])
def test_a_file_that_vanishes_before_it_is_packed_is_named(project: Path, change: str) -> None:
    write(project, {"job.py": "import a", "a.py": ""})
    interpreter = describe(Path(sys.executable), {}, project, Cache(project.parent / "cache"))
    cache = Cache(project.parent / "cache")
    resolution = resolve(ScriptTarget(project / "job.py"), ResolveSettings(), interpreter, project, cache)
    (project / "a.py").unlink()
    if change == "a directory":
        (project / "a.py").mkdir()

    with pytest.raises(RefusedFileError, match=r"a\.py"):
        collect(resolution, cache)
