"""Paths that count from a directory which the source names: by a form, a change of directory, an option."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from raybundle.model import ScriptTarget
from raybundle.resolve.driver.arguments import named_by
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.integration.disk.resolve.test_resolve import run
from tests.support.known import knowing
from tests.support.small_project import interpreter, tree

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Resolution

HERE = "import os\nfrom pathlib import Path\nHERE = Path(__file__).parent\n"


def named(work: Path, source: str, *files: str, job: str = "job.py", **others: str) -> set[str]:
    """The data files that travel because a path of `job` names them."""
    modules = {f"{name}.py": text for name, text in others.items()}
    script = (
        tree(work / "app", {job: source, **modules, **dict.fromkeys(files, ""), "pyproject.toml": ""}) / job
    )
    return {each.path.removeprefix("project/") for each in run(script).data if "(path)" in each.reason}


@pytest.mark.parametrize("name", ["'{}.yaml'.format(env)", "'%s.yaml' % env", "'{env}.yaml'.format(env=env)"])
@pytest.mark.parametrize(
    "path", ["HERE / 'conf' / ({})", "os.path.join(os.path.dirname(__file__), 'conf', {})"]
)
def test_a_form_beside_the_source_stands_for_what_it_matches(tmp_path: Path, path: str, name: str) -> None:
    source = f"{HERE}def load(env):\n    return open({path.format(name)}).read()\n"

    assert named(tmp_path, source, "conf/a.yaml", "conf/b.yaml", "conf/c.txt") == {
        "conf/a.yaml",
        "conf/b.yaml",
    }


@pytest.mark.parametrize(
    "change",
    [
        "os.chdir('work')",
        "os.chdir(HERE / 'work')",
        "os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'work'))",
        "from os import chdir as cd\ncd(HERE.resolve() / 'work')",
        "import contextlib\nstack = contextlib.ExitStack()\nstack.enter_context(contextlib.chdir('work'))",
        "WORK = os.environ.get('WORK', 'work')\nos.chdir(WORK)",
    ],
)
def test_paths_count_from_a_directory_that_the_job_changes_to(tmp_path: Path, change: str) -> None:
    source = f"{HERE}{change}\nimport reader\nprint(open('in.txt').read(), os.listdir('shards'))\n"
    reader = "TABLE = open('tables/t.csv').read()\n"
    files = ("work/in.txt", "work/shards/1", "work/tables/t.csv", "work/not-read.txt")

    assert named(tmp_path, source, *files, reader=reader) == {*files[:3]}


def test_paths_count_from_the_folder_of_a_script_that_changes_to_it(tmp_path: Path) -> None:
    source = f"{HERE}os.chdir(HERE)\nprint(open('in.txt').read(), os.listdir('shards'))\n"

    assert named(tmp_path, source, "jobs/in.txt", "jobs/shards/1", job="jobs/job.py") == {
        "jobs/in.txt",
        "jobs/shards/1",
    }


MAKO = "from mako.lookup import TemplateLookup\n"
CLICK = "import click\n@click."
TYPER = "import typer\nfrom pathlib import Path\n"
ARGPARSE = "import argparse, os, pathlib\np = argparse.ArgumentParser()\np."


@pytest.mark.parametrize(
    "source",
    [
        f"{MAKO}TemplateLookup(directories=['views'])\n",
        f"{MAKO}PLACES = ['views', 'more']\nTemplateLookup(directories=PLACES)\n",
        "from fastapi.templating import Jinja2Templates\nJinja2Templates(directory='views')\n",
        "TEMPLATES = [{'BACKEND': 'x', 'DIRS': ['views']}]\n",
        "STATICFILES_DIRS = ('views',)\n",
        "from dynaconf import Dynaconf\nDynaconf(settings_files=['a.toml'], root_path='views')\n",
        f"{CLICK}option('--dir', default='views', type=click.Path(exists=True))\ndef main(dir): ...\n",
        f"{CLICK}argument('dir', default='views', type=click.Path())\ndef main(dir): ...\n",
        f"{TYPER}def main(dir: Path = typer.Option('views')): ...\n",
        f"{TYPER}def main(dir: str = typer.Option('views', exists=True)): ...\n",
        f"{ARGPARSE}add_argument('--dir', type=pathlib.Path, default='views')\n",
        f"{ARGPARSE}add_argument('--dir', default='views')\nprint(os.listdir(p.parse_args().dir))\n",
        "import os\nos.environ['APP_DATA'] = 'views'\n",
        "def f(**all): ...\nf(label_dir='views', out_dir='jobs', run_dir='jobs', default_root_dir='jobs')\n",
        "CONFIG = {'image_root': 'views', 'log_dir': 'jobs'}\n",
        "import os\nclass Args:\n    dir: str = 'views'\ndef read(args):\n    return os.listdir(args.dir)\n",
    ],
)
def test_a_folder_with_a_plain_name_is_taken_where_an_option_is_one(tmp_path: Path, source: str) -> None:
    files = ("views/a.html", "views/b.html")
    assert named(tmp_path, source, *files, "jobs/old.log") == {*files}


def test_a_path_upwards_counts_from_the_source_too(tmp_path: Path) -> None:
    job = "ns = {}\nexec(open('configs/exp/small.py').read(), ns)\nprint(ns['_base_'])\n"
    files = {"configs/exp/small.py": "_base_ = ['../base/sched.json']\n", "configs/base/sched.json": "{}"}
    tree(tmp_path / "app", files)

    assert named(tmp_path, job) == {"configs/base/sched.json"}


@pytest.mark.parametrize(
    "place",
    [
        "model_config = SettingsConfigDict(secrets_dir='keys')",
        "model_config = {'secrets_dir': HERE / 'keys'}",
        "class Config:\n        secrets_dir = 'keys'",
        "os.environ['APP_SECRETS'] = 'keys'",
        "CONFIG = {'credentials_dir': 'keys'}",
    ],
)
def test_a_folder_of_secrets_stays_and_is_told(tmp_path: Path, place: str) -> None:
    base = "from pydantic_settings import BaseSettings, SettingsConfigDict"
    source = f"{HERE}{base}\nclass Settings(BaseSettings):\n    {place}\n"
    script = tree(tmp_path / "app", {"job.py": source, "keys/token": "abc"}) / "job.py"
    found = run(script, ResolveSettings(optional=("pydantic_settings",)))

    assert [each.file.name for each in found.data] == []
    [warning] = [each for each in found.warnings if "secret" in each.text]
    assert f"{warning.text}; {warning.hint}" == (
        "keys is left out: it holds secrets; `--secret NAME=file:PATH` gives each to the job; then "
        "`# raybundle: ignore`"
    )
    lines = source.splitlines()
    assert warning.line is not None
    lines[warning.line - 1] += "  # raybundle: ignore"
    script.write_text("\n".join(lines))
    assert run(script, ResolveSettings(optional=("pydantic_settings",))).warnings == ()


@pytest.mark.parametrize("text", ["secrets_dir: keys\n", '{"credentials": {"private_key_dir": "conf/keys"}}'])
def test_a_folder_of_secrets_in_configuration_stays_and_is_told(tmp_path: Path, text: str) -> None:
    files = {"job.py": "open('c.yaml')\n", "c.yaml": text, "keys/a": "", "conf/keys/a": ""}
    found = run(tree(tmp_path / "app", files) / "job.py")

    assert [each.file.name for each in found.data] == ["c.yaml"]
    assert [each.text for each in found.warnings] == [
        f"{'conf/' * ('conf' in text)}keys is left out: it holds secrets"
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.toml", '[paths]\nimages = "data/in"\noutput = "data/out"  # written\n'),
        ("c.yaml", "data:\n  train: ./data/in/   # images\nlog_dir: data/out\ndefault_root_dir: data/out\n"),
        ("c.yaml", "folders:\n  - data/in\n  - other\n"),
        ("c.json", '{"a": {"train": "data/in", "save_to": "data/out"}, "name": "other"}'),
        ("c.ini", "[data]\nroot = data/in\nresults=data/out\n"),
        ("c.yaml", "{train: data/in, checkpoints: data/out, model: other}"),
    ],
)
def test_configuration_names_folders_that_are_read(tmp_path: Path, name: str, text: str) -> None:
    job = f"print(open('conf/{name}').read())\n"
    files = ("data/in/a.png", "data/in/b/c.png", "data/out/old.txt", "other/no.txt")
    tree(tmp_path / "app/conf", {name: text})

    assert named(tmp_path, job, *files) == {f"conf/{name}", *files[:2]}


@pytest.mark.parametrize("text", ["data_dir: images\n", '{"root": "images"}', "path = images\n"])
def test_a_plain_name_in_configuration_is_a_folder_if_its_key_says_so(tmp_path: Path, text: str) -> None:
    tree(tmp_path / "app", {"c.yaml": text})

    assert named(tmp_path, "print(open('c.yaml').read())\n", "images/a.png") == {"c.yaml", "images/a.png"}


def test_the_history_and_virtual_environments_are_no_data(tmp_path: Path) -> None:
    source = f"{HERE}print(Path('.git').exists(), os.listdir('env'), os.listdir('.git/objects'))\n"
    files = (".git/config", ".git/objects/ab/cd", "env/pyvenv.cfg", "env/lib/a.txt", "data/a.txt")

    assert named(tmp_path, f"{source}open('.git/HEAD')\nos.listdir('data')\n", *files, ".git/HEAD") == {
        ".git/HEAD",
        "data/a.txt",
    }


def test_a_long_word_in_configuration_costs_no_square_of_its_length(tmp_path: Path) -> None:
    tree(tmp_path / "app", {"c.json": f'{{"data": "data/in", "blob": "!{"a1" * 30_000}!"}}'})

    assert named(tmp_path, "print(open('c.json').read())\n", "data/in/a") == {"c.json", "data/in/a"}


@pytest.mark.parametrize(
    "source",
    [
        f"{HERE}print(open(HERE.parent / 'conf/a.json').read())\n",
        "print(open('conf/a.json').read())\n",
        f"{HERE}os.chdir(HERE.parent)\nprint(open('conf/a.json').read())\n",
        f"{HERE}print(os.listdir(HERE.parent / 'conf'))\n",
        "import sys\nprint(open(sys.argv[1]).read())\n",
    ],
)
def test_what_lies_outside_the_project_is_told_and_the_hint_takes_it(tmp_path: Path, source: str) -> None:
    tree(tmp_path, {"jobs/job.py": source, "conf/a.json": "{}"})
    target, arguments = ScriptTarget(tmp_path / "jobs/job.py"), ["conf/a.json"] if "argv" in source else []

    def found(project: Path) -> Resolution:
        settings = ResolveSettings(project=project, arguments=named_by(arguments, project, tmp_path))
        return resolve(target, settings, interpreter(tmp_path), tmp_path, knowing(tmp_path / "cache"))

    [warning] = found(tmp_path / "jobs").warnings
    assert re.fullmatch(rf"{tmp_path}/conf(/a.json)? is left out: it is outside the project", warning.text)
    assert warning.hint is not None
    assert warning.hint.startswith(f"`--working-dir {tmp_path}` makes that the project's root; ")
    assert found(tmp_path).warnings == ()
    assert [each.path for each in found(tmp_path).data] == ["project/conf/a.json"]


@pytest.mark.parametrize(
    "source",
    ["print(open('jobs/a.json').read())\n", "import sys\nprint(open(sys.argv[1]).read())\n"],
)
def test_a_path_from_above_the_project_is_told_and_the_hint_settles_it(tmp_path: Path, source: str) -> None:
    tree(tmp_path, {"jobs/job.py": source, "jobs/a.json": "{}"})
    target, arguments = ScriptTarget(tmp_path / "jobs/job.py"), ["jobs/a.json"] if "argv" in source else []

    def found(project: Path) -> list[str]:
        settings = ResolveSettings(project=project, arguments=named_by(arguments, project, tmp_path))
        resolution = resolve(target, settings, interpreter(tmp_path), tmp_path, knowing(tmp_path / "cache"))
        return [f"{each.text}; {each.hint}" for each in resolution.warnings]

    [told] = found(tmp_path / "jobs")
    text = (
        f"the job does not find jobs/a.json: it starts in {tmp_path}/jobs; `--working-dir {tmp_path}` makes "
    )
    assert told.startswith(text)
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    "source",
    [
        f"{HERE}import sys\nROOT = HERE.parent\nsys.path.append(str(ROOT / 'src'))\nimport model\n",
        f"{HERE}OUT = HERE.parent / 'out'\nOUT.mkdir(exist_ok=True)\n",
        "print(open('conf/absent.json').read())\n",
        "print(open('../\\ud800.json').read())\n",
        "print(open(__file__ + '/../../../\\ud800.json').read(), open(__file__ + '/../../../a\\0').read())\n",
    ],
)
def test_what_lies_outside_and_is_no_data_is_not_told(tmp_path: Path, source: str) -> None:
    tree(tmp_path, {"jobs/job.py": source, "src/model.py": "", "out/a.txt": "", "conf/a.json": "{}"})
    target = ScriptTarget(tmp_path / "jobs/job.py")

    assert (
        resolve(
            target, ResolveSettings(), interpreter(tmp_path), tmp_path, knowing(tmp_path / "cache")
        ).warnings
        == ()
    )


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("../keys/id_rsa", "`--secret NAME=file:PATH` gives it to the job; then"),
        ("../conf/a.yaml", "copy it into the project; else"),
    ],
)
def test_a_secret_outside_or_a_project_at_home_is_no_reason_for_another_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, hint: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tree(tmp_path, {"keys/id_rsa": "", "conf/a.yaml": "", "app/job.py": f"open('{path}')\n"})
    tree(tmp_path / "app", {})
    [warning] = run(tmp_path / "app/job.py").warnings

    assert warning.hint == f"{hint} `# raybundle: ignore`"


def test_a_text_that_no_call_reads_names_no_directory_outside(tmp_path: Path) -> None:
    tree(tmp_path, {"app/job.py": "KIND = '../conf'\n", "conf/a.yaml": ""})
    tree(tmp_path / "app", {})

    assert run(tmp_path / "app/job.py").warnings == ()


@pytest.mark.parametrize("url", ["'sqlite:///db/app.sqlite3'", "f'sqlite+pysqlite:///{HERE}/db/app.sqlite3'"])
def test_the_url_of_a_database_names_its_file(tmp_path: Path, url: str) -> None:
    assert named(tmp_path, f"{HERE}URL = {url}\n", "db/app.sqlite3") == {"db/app.sqlite3"}


@pytest.mark.parametrize("url", ["file://extra", "file:./extra", "file://extra/"])
@pytest.mark.parametrize("place", ["job.py", "c.yaml"])
def test_a_relative_url_names_a_directory(tmp_path: Path, url: str, place: str) -> None:
    tree(tmp_path / "app", {"c.yaml": f"hydra:\n  searchpath:\n    - {url}\n" if place == "c.yaml" else ""})
    source = f"PLACE = '{url}'\n" if place == "job.py" else "open('c.yaml')\n"

    assert "extra/a.yaml" in named(tmp_path, source, "extra/a.yaml")


def test_a_script_that_starts_in_another_directory_is_found_there(tmp_path: Path) -> None:
    job = "import subprocess, sys\nsubprocess.run([sys.executable, 'gen.py'], cwd='tools', check=True)\n"
    gen = "import helper\nprint(open('local.txt').read())\n"
    tree(tmp_path / "app/tools", {"gen.py": gen, "helper.py": ""})

    named(tmp_path, job, "tools/local.txt")
    found = run(tmp_path / "app/job.py")
    travelling = {each.path for each in found.modules} | {each.path for each in found.data}
    assert {f"project/tools/{each}" for each in ("gen.py", "helper.py", "local.txt")} <= travelling


def test_a_script_of_a_shell_runs_what_is_beside_it(tmp_path: Path) -> None:
    shell = 'DIR="$(cd "$(dirname "$0")" && pwd)"\npython "$DIR/sub.py"\ncat "$DIR/x.txt"\n'
    tree(tmp_path / "app/scripts", {"go.sh": shell, "sub.py": "", "x.txt": ""})
    named(tmp_path, "import subprocess\nsubprocess.run(['bash', 'scripts/go.sh'], check=True)\n")

    found = run(tmp_path / "app/job.py")
    assert "project/scripts/sub.py" in {each.path for each in found.modules}
    assert "project/scripts/x.txt" in {each.path for each in found.data}


def test_an_argument_may_name_a_file_of_arguments(tmp_path: Path) -> None:
    tree(tmp_path, {"args.txt": "--lr=1\n"})

    assert named_by(["@args.txt"], tmp_path, tmp_path) == (f"{tmp_path}/args.txt",)


@pytest.mark.parametrize(
    "source",
    [
        "from dynaconf import settings\nprint(settings.A)\n",
        "from dynaconf import FlaskDynaconf\nFlaskDynaconf(app)\n",
        "import dynaconf\nsettings = dynaconf.DjangoDynaconf(__name__)\n",
    ],
)
def test_settings_that_dynaconf_looks_for_travel_and_its_secrets_are_told(
    tmp_path: Path, source: str
) -> None:
    files = ("settings.toml", "config/settings.local.yaml", ".secrets.toml", "other.toml")

    assert named(tmp_path, source, *files) == {"settings.toml", "config/settings.local.yaml"}
    assert [each.text for each in run(tmp_path / "app/job.py").warnings if "secret" in each.text] == [
        ".secrets.toml is left out: its name is that of a secret (settings-of-dynaconf)"
    ]


def test_dynaconf_with_files_of_its_own_or_none_takes_no_others(tmp_path: Path) -> None:
    source = "from dynaconf import Dynaconf\nDynaconf()\nDynaconf(settings_files=['mine.toml'])\n"
    files = ("settings.toml", "mine.toml", "mine.local.toml")

    assert named(tmp_path, source, *files) == {"mine.toml", "mine.local.toml"}


def test_a_variable_of_the_environment_means_a_directory_if_its_name_says_so(tmp_path: Path) -> None:
    source = "import os\nos.environ['WANDB_PROJECT'] = 'train'\nos.environ['NLTK_DATA'] = 'corpora'\n"

    assert named(tmp_path, source, "train/a.csv", "corpora/b.csv") == {"corpora/b.csv"}
