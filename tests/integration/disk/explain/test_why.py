from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from raybundle.cli.main import main

PROJECTS = Path(__file__).parents[3] / "projects"
FILES = {
    "pyproject.toml": "[tool.raybundle]\nroots = ['src', 'lib']\n",
    "job.py": "import app\nimport typing_extensions\n",
    "src/app/__init__.py": "from app import core\nfrom app import tools",
    "src/app/core.py": "import app.tools\ntry:\n    import faster\nexcept ImportError:\n    pass\n",
    "src/app/tools.py": "import importlib as i\nimport sys\n\ni.import_module(f'app.steps.{sys.argv[1]}')\n",
    "src/app/words.txt": "words",
    "src/app/idle.py": "",
    "src/app/steps/__init__.py": "",
    "src/app/steps/one.py": "from app import core\nimport app.tools\n",
    "src/app/steps/two.py": "",
    "src/other/__init__.py": "",
    "src/other/data.csv": "1",
    "src/twice.py": "",
    "lib/app/late.py": "",
    "lib/twice.py": "",
    "tools/deep/far.py": "",
    "tools/notes.txt": "",
}


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Ask = Callable[..., Answer]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ask:
    """Runs `raybundle` with some words in a project with two roots."""
    for name, text in FILES.items():
        file = tmp_path / "p" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    monkeypatch.chdir(tmp_path / "p")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def asked(*words: str) -> Answer:
        code = main(words)
        return Answer(code, *capfd.readouterr())

    return asked


def test_all_chains_are_lines_that_a_person_can_read(ask: Ask, tmp_path: Path) -> None:
    src = tmp_path / "p" / "src" / "app"

    answer = ask("why", "job.py", "app.tools", "--all")

    assert answer.code == 0
    assert answer.out.splitlines() == [
        "2 chains, over 4 imports between 4 modules",
        "each passes app",
        "imported by:",
        f"  {src}/__init__.py:2: app imports app.tools (static)",
        f"  {src}/core.py:1: app.core imports app.tools (static)",
        "the chains, shortest first:",
        "  __main__:1 > app:2 > app.tools",
        "  __main__:1 > app:1 > app.core:1 > app.tools",
    ]


@pytest.mark.parametrize("words", [["--all", "job.py", "app.core"], ["job.py", "--all", "app.core"]])
def test_options_may_stand_anywhere(ask: Ask, words: list[str]) -> None:
    assert "each passes app" in ask("why", *words).out


def test_the_drawing_holds_what_json_lists(ask: Ask) -> None:
    drawn = ask("why", "job.py", "app.steps.one", "--all", "--format", "dot")
    listed = ask("why", "job.py", "app.steps.one", "--all", "--format=json").document["all"]["edges"]

    arrows = [line.split(" [")[0].strip() for line in drawn.out.splitlines() if "->" in line]
    assert arrows == [f'"{each["importer"]}" -> "{each["imported"]}"' for each in listed]
    assert len(arrows) > 2


@pytest.mark.parametrize("word", ["src/app/core.py", "project/src/app/core.py", "./src/app/../app/core.py"])
def test_a_file_stands_for_its_module(ask: Ask, word: str) -> None:
    answer = ask("--json", "why", "job.py", word)

    assert (answer.document["kind"], answer.document["names"]) == ("module", ["app.core"])


def test_a_data_file_says_why_it_travels_and_how_its_package_came_in(ask: Ask) -> None:
    answer = ask("why", "job.py", "src/app/words.txt")

    first, second = answer.out.splitlines()
    assert (answer.code, first) == (0, "project/src/app/words.txt travels: data of package app")
    assert second.endswith("job.py:1: __main__ imports app (static)")


def test_a_prefix_stands_for_all_that_is_under_it(ask: Ask) -> None:
    answer = ask("why", "job.py", "app.steps.*")

    assert answer.out.splitlines()[0] == "2 modules are in, imported from outside:"
    assert "tools.py:4: app.tools imports 2 of them (prefix)" in answer.out


def test_a_distribution_is_explained_by_who_imports_it(ask: Ask) -> None:
    answer = ask("why", "job.py", "Typing.Extensions")

    first, second = answer.out.splitlines()
    assert first.startswith("typing-extensions ")
    assert second.endswith("job.py:2: __main__ imports typing_extensions (static)")


@pytest.mark.slow
def test_a_distribution_that_is_not_imported_is_explained_by_what_requires_it(
    ask: Ask, tmp_path: Path
) -> None:
    (tmp_path / "p/job.py").write_text("import jsonschema\n")

    document = ask("--json", "why", "job.py", "attrs").document

    assert document["distribution"]["required_by"][-1] == "jsonschema"
    assert document["chain"][0]["imported"] == "jsonschema"


def test_a_module_of_a_distribution_that_travels_is_in_with_all_of_it(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "p/job.py").write_text("import jsonschema\n")

    imported, required = ask("why", "job.py", "jsonschema.cli"), ask("why", "job.py", "attr.converters")

    assert imported.out.splitlines()[0].endswith(" is needed; it comes from the bundle")
    assert required.out.splitlines()[1] == "attrs is required by jsonschema"
    assert (imported.code, required.code) == (0, 0)


@pytest.mark.parametrize(
    ("word", "why", "says"),
    [
        ("faster", "optional", "core.py:3, optionally"),
        ("json", "standard-library", "`json`"),
        ("app.idle", "not-imported", "`app` is in"),
        ("other", "not-imported", "src/other/__init__.py"),
        ("app.stesp.one", "misspelt", "app.stesp.one"),
        ("app.late", "shadowed", "src/app/__init__.py comes first"),
        ("far", "not-on-path", "`tools/deep` were a root"),
        ("tools/deep/far.py", "not-imported", "`tools.deep.far`"),
        ("lib/twice.py", "shadowed", "`twice` is"),
        ("src/other/data.csv", "not-imported", "package `other`"),
        ("tools/notes.txt", "no-package", "`include`"),
        ("pytest", "third-party", "which is installed but not bundled"),
        ("no_such_thing_at_all", "nowhere", "no_such_thing_at_all"),
        ("app.no_such_thing_at_all", "nowhere", "app.no_such_thing_at_all"),
    ],
)
def test_what_is_not_in_has_a_nearest_reason(ask: Ask, word: str, why: str, says: str) -> None:
    answer = ask("--json", "why", "job.py", word)

    assert answer.code == 3
    assert answer.document["absent"]["why"] == why, answer.document
    assert says in answer.document["reason"]


def test_under_type_checking_and_on_another_platform_are_reasons(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shutil.copytree(PROJECTS / "guards", tmp_path / "guards"))

    assert "under `TYPE_CHECKING` only" in ask("why", "job.py", "app.only_types").out
    assert "under `sys.version_info < (3, 0)`" in ask("why", "job.py", "app.old").out


def test_an_import_that_resolves_nowhere_is_explained_in_place_of_failing(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "p/job.py").write_text("import app\nimport gone.away\n")

    answer = ask("why", "job.py", "gone")

    assert answer.code == 3
    assert "job.py:2 but was found nowhere" in answer.out
    assert ask("why", "job.py", "app.core").code == 0


def test_data_that_a_setting_leaves_out_says_so(ask: Ask) -> None:
    answer = ask("--json", "why", "--exclude", "**/*.txt", "job.py", "src/app/words.txt")

    assert (answer.code, answer.document["absent"]["why"]) == (3, "excluded")


def test_a_drawing_of_what_is_not_in_is_an_error(ask: Ask) -> None:
    answer = ask("why", "job.py", "app.idle", "--format", "dot")

    assert (answer.code, answer.out) == (3, "")
    assert "`app` is in" in answer.err


def test_two_forms_at_once_are_refused(ask: Ask) -> None:
    assert ask("--json", "why", "job.py", "app", "--format", "dot").code == 2


def test_why_of_a_module_target(tmp_path: Path, ask: Ask) -> None:
    (tmp_path / "p" / "runner.py").write_text("import app")

    assert ask("why", "-m", "runner", "app").out.count("runner imports app") == 1
    assert subprocess.run([sys.executable, "-m", "raybundle", "why", "job.py"], check=False).returncode == 2
