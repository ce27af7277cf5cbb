"""Which configuration files name modules: those of packages, and those that something reached reads."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.model import Resolution, ScriptTarget
from raybundle.resolve.missing.complete import require_complete
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.support.known import knowing
from tests.support.small_project import interpreter, tree

if TYPE_CHECKING:
    from types import FrameType

PROJECTS = Path(__file__).parents[3] / "projects"
OTHERS = {
    "serving/__init__.py": "",
    "serving/app.py": "import absent_server\napp = 1",
    "steps/__init__.py": "",
    "steps/clean.py": "",
    "service.yaml": "import_path: serving.app:app\n",
    "train.yaml": "steps:\n  - steps.clean\n",
}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def resolved(root: Path, script: str = "job.py", settings: ResolveSettings | None = None) -> Resolution:
    kept = knowing(root.parent / "cache")
    return resolve(
        ScriptTarget(root / script), settings or ResolveSettings(), interpreter(root.parent), root, kept
    )


def names(resolution: Resolution) -> set[str]:
    return {str(each.name) for each in resolution.modules} - {"__main__"}


def test_a_configuration_file_that_nothing_reads_names_nothing(work: Path) -> None:
    root = Path(shutil.copytree(PROJECTS / "field/config-names-a-neighbour", work / "p"))
    resolution = resolved(root, "main.py")

    require_complete(resolution)
    assert names(resolution) == set()
    assert resolution.warnings == ()


@pytest.mark.parametrize(
    "source",
    [
        "import yaml\nprint(open('train.yaml').read())",
        "from pathlib import Path\nprint((Path(__file__).parent / 'train.yaml').read_text())",
        "from pathlib import Path\nprint(Path(__file__).with_name(f'{\"train\"}.yaml'))",
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--config', default='train.yaml')",
        "import hydra\n@hydra.main(config_path='.', config_name='train')\ndef main(config): ...",
        "import helper",
        "import pkg.reader",
    ],
)
def test_a_configuration_file_that_is_read_names_modules(work: Path, source: str) -> None:
    files = {
        **OTHERS,
        "job.py": source,
        "helper.py": "def load():\n  return open('train.yaml')",
        "pkg/__init__.py": "",
        "pkg/reader.py": "NAME = 'train.yaml'",
        "service.yaml": "",
    }

    assert "steps.clean" in names(resolved(tree(work / "p", files)))


WORDS = {
    "yaml": ("a.yaml", "plugins:\n  - alpha  \n  - beta\n"),
    "json": ("a.json", '{"plugins": [\n  "alpha",\n  "beta"\n]}\n'),
    "toml": ("a.toml", 'plugins = ["alpha", "beta"]\n'),
    "ini": ("a.ini", "[x]\nload_modules = alpha, beta\n"),
    "interpolated": ("a.yaml", "pkg: steps\nmore: ${pkg}.clean\nmodule: alpha\nbackend: beta\n"),
    "of a package": ("a.yaml", "package: steps\nsteps:\n  - {module: clean, n: 1}\nplugins: [alpha, beta]\n"),
}


@pytest.mark.parametrize("kind", WORDS)
def test_words_in_configuration_name_modules_if_their_key_says_so(work: Path, kind: str) -> None:
    file, text = WORDS[kind]
    files = {"alpha.py": "", "beta.py": "", "steps/__init__.py": "", "steps/clean.py": "", "other.py": ""}
    job = f"import importlib\nprint(open({file!r}).read())\n"
    root = tree(work / "p", {"job.py": job, file: f"{text}\n[y]\nname = other\n", **files})
    steps = {"steps", "steps.clean"} if "steps" in text else set()

    assert names(resolved(root)) == {"alpha", "beta", *steps}


def test_only_what_is_read_names_modules(work: Path) -> None:
    resolution = resolved(tree(work / "p", {**OTHERS, "job.py": "print(open('train.yaml').read())"}))

    assert names(resolution) == {"steps", "steps.clean"}
    assert resolution.warnings == ()


@pytest.mark.parametrize("suffix", ["'*.yaml'", "'.yaml'", "'*.y*ml'", "f'{name}.yaml'"])
def test_a_suffix_that_the_script_reads_stands_for_all_beside_it(work: Path, suffix: str) -> None:
    resolution = resolved(tree(work / "p", {**OTHERS, "job.py": f"name = 'x'\nprint({suffix})"}))

    assert {"steps.clean", "serving.app"} <= names(resolution)


def test_a_suffix_that_another_package_reads_says_nothing_of_the_script_s_directory(work: Path) -> None:
    files = {**OTHERS, "job.py": "import lib", "lib/__init__.py": "def f(x):\n  return x.endswith('.yaml')"}

    assert names(resolved(tree(work / "p", files))) == {"lib"}


def test_configuration_files_in_packages_and_folders_of_namespaces_name_modules(work: Path) -> None:
    files = {
        **OTHERS,
        "job.py": "import pkg, space.mod",
        "pkg/__init__.py": "",
        "pkg/conf/a.yaml": "x: steps.clean",
        "space/mod.py": "",
        "space/b.json": '["serving.app:app"]',
    }

    assert {"steps.clean", "serving.app"} <= names(resolved(tree(work / "p", files)))


def test_a_file_read_by_what_a_configuration_file_leads_to_counts(work: Path) -> None:
    files = {
        "job.py": "print(open('a.yaml'))",
        "a.yaml": "x: one.first",
        "one/__init__.py": "",
        "one/first.py": "open('b.yaml')",
        "b.yaml": "x: one.second",
        "one/second.py": "",
    }

    assert {"one.first", "one.second"} <= names(resolved(tree(work / "p", files)))


def test_an_included_configuration_file_names_modules(work: Path) -> None:
    root = tree(work / "p", {**OTHERS, "job.py": ""})
    resolution = resolved(root, settings=ResolveSettings(include=("train.yaml",)))

    assert names(resolution) == {"steps", "steps.clean"}


def test_names_in_a_folder_are_looked_at_once_and_not_once_for_each_module(work: Path) -> None:
    count = 40
    modules = {f"flat/m{number}.py": f"from . import m{(number + 1) % count}" for number in range(count)}
    root = tree(work / "p", {"job.py": "import flat.m0", "flat/__init__.py": "", **modules})
    calls, before = Counter[str](), sys.getprofile()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame.f_code.co_name in {"is_config", "is_extension"}:
            calls[frame.f_code.co_name] += 1

    sys.setprofile(note)
    try:
        found = resolved(root)
    finally:
        sys.setprofile(before)

    assert len(names(found)) == count + 1
    assert set(calls) == {"is_config", "is_extension"}
    assert max(calls.values()) < 5 * count, calls
