"""Files that paths in reached sources and in arguments of the job name travel, and others do not."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from raybundle.explain.left_behind import LeftFolder, left_behind
from raybundle.model import ModuleName, ModuleTarget, NotebookTarget, ScriptTarget
from raybundle.resolve.driver.arguments import named_by
from raybundle.resolve.resolve import ResolveSettings, resolve
from tests.integration.disk.resolve.test_resolve import project, run
from tests.support.known import knowing
from tests.support.remedies import cells
from tests.support.small_project import interpreter, tree
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A directory whose real path is its name, as `sys.path` would have it."""
    return tmp_path.resolve()


def named(script: Path, settings: ResolveSettings | None = None) -> dict[str, str]:
    """Where the files that a path names lie in the project, and what names each."""
    data = run(script, settings).data
    return {each.path.removeprefix("project/"): each.reason for each in data if "(path)" in each.reason}


def warned(script: Path, settings: ResolveSettings | None = None) -> list[str]:
    """The warnings, with their hints."""
    return [f"{each.text}; {each.hint}" for each in run(script, settings).warnings]


def app(work: Path, source: str, *files: str) -> Path:
    """Writes `job.py` and empty files, and returns the script."""
    return tree(work / "app", {"job.py": source, **dict.fromkeys(files, "")}) / "job.py"


def test_literals_and_paths_beside_the_source_are_taken(work: Path) -> None:
    script = project("field/data-by-literal-path", work) / "scripts/job.py"

    assert named(script) == {
        "conf/params.json": "named at src/model/weights.py:9 (path)",
        "scripts/config.json": "named at scripts/job.py:9 (path)",
    }


@pytest.mark.parametrize(
    "head",
    [
        "H = os.path.split(os.path.abspath(__file__))[0]\n",
        "H = os.path.abspath(__file__).rsplit('/', 1)[0]\n",
        "H = __file__.rpartition('/')[0]\n",
    ],
)
def test_parts_of_the_path_of_the_source_are_evaluated(work: Path, head: str) -> None:
    script = app(work, f"import os\n{head}print(open(H + '/conf/a.csv').read())\n", "conf/a.csv", "a.csv")

    assert set(named(script)) == {"conf/a.csv"}


def test_migrations_that_alembic_is_told_of_travel(work: Path) -> None:
    files = {
        "alembic.ini": "[alembic]\nscript_location = %(here)s/db/moves\nsqlalchemy.url = sqlite://\n",
        "job.py": "Config('alembic.ini')\n",
        "db/moves/env.py": "import tables\n",
        "db/moves/script.py.mako": "",
        "db/moves/versions/0001.py": "",
        "tables.py": "",
    }
    found = run(tree(work / "app", files) / "job.py")

    travelling = [*(each.path for each in found.modules if each.path), *(each.path for each in found.data)]
    assert {each.removeprefix("project/") for each in travelling} == {*files}


def test_paths_in_comprehensions_are_taken(work: Path) -> None:
    source = "import os\nALL = [os.path.join(d, 'tool.conf') for d in ('.', 'etc', '/etc/tool')]\n"

    found = named(app(work, source, "etc/tool.conf", "tool.conf", "a/tool.conf"))
    assert set(found) == {"etc/tool.conf", "tool.conf"}


def test_functions_that_partial_makes_are_evaluated(work: Path) -> None:
    source = (
        "import functools, os\nat = functools.partial(os.path.join, os.path.dirname(__file__), 'conf')\n"
        "print(open(at('deep', 'a.csv')).read())\n"
    )

    assert set(named(app(work, source, "conf/deep/a.csv", "conf/b.csv"))) == {"conf/deep/a.csv"}


def test_paths_assigned_together_are_taken(work: Path) -> None:
    source = "HERE, NAME = 'conf/', 'a.csv'\n(A, B), C = ('b', 1), 2\nprint(open(HERE + NAME).read())\n"
    script = app(work, f"{source}print(open(f'conf/{{A}}.csv').read())\n", *map("conf/{}.csv".format, "abc"))

    assert set(named(script)) == {"conf/a.csv", "conf/b.csv"}


def test_defaults_of_options_and_arguments_are_taken(work: Path) -> None:
    script = project("field/config-by-argument", work) / "train.py"
    other = tree(script.parent, {"configs/other.yaml": "lr: 2\n"}) / "configs/other.yaml"

    assert set(named(script)) == {"configs/base.yaml", "prompts/hello.txt"}
    assert named(script, ResolveSettings(arguments=(str(other),)))["configs/other.yaml"] == (
        "named by an argument (path)"
    )


def test_a_link_to_a_folder_of_the_repository_is_followed(work: Path) -> None:
    tree(work / "all/proj", {"job.py": "print(open('data/d.csv').read())\n"})
    tree(work / "all/mnt", {"d.csv": "a,b\n"})
    (work / "all/proj/data").symlink_to("../mnt")
    subprocess.run(["git", "init", "--quiet", work / "all"], check=True)

    assert set(named(work / "all/proj/job.py")) == {"data/d.csv"}


def test_a_link_out_of_the_project_is_a_warning_and_a_root_settles_it(work: Path) -> None:
    script = app(work, "print(open('data/d.csv').read())\n")
    tree(work / "mnt", {"d.csv": "a,b\n"})
    (work / "app/data").symlink_to("../mnt")

    assert named(script) == {}
    [warning] = warned(script)
    assert f"data/d.csv is left out: a symbolic link leads to {work}/mnt/d.csv; " in warning
    assert "add `../mnt` to `roots` in [tool.raybundle]" in warning
    settled = ResolveSettings(roots=("../mnt",))
    assert set(named(script, settled)) == {"data/d.csv"}
    assert warned(script, settled) == []


def test_a_folder_in_a_constant_stands_for_its_data(work: Path) -> None:
    source = (
        "import json, os\n"
        "CONF_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'settings')\n"
        "def read(name):\n    return json.load(open(os.path.join(CONF_DIR, name + '.json')))\n"
        "print(read('dev'))\n"
    )
    files = {"settings/dev.json": "{}", "settings/prod.json": "{}", "settings/notes.md": "", "etl/x.json": ""}
    script = tree(work / "app", {"etl/run.py": source, **files}) / "etl/run.py"

    assert {"settings/dev.json", "settings/prod.json"} <= set(named(script))
    assert "etl/x.json" not in named(script)


def test_globs_and_forms_take_what_they_match(work: Path) -> None:
    source = (
        "import glob\nfrom pathlib import Path\n"
        "print(sorted(Path('prompts').glob('*.md')), glob.glob('data/part-*.csv'))\n"
        "def load(year):\n"
        "    return open(f'years/{year}/sales.csv').read(), open('{}.toml'.format(year)).read()\n"
    )
    files = ["prompts/a.md", "prompts/b.txt", "data/part-1.csv", "data/other.csv", "years/2024/sales.csv"]
    script = tree(work / "app", {"job.py": source, "x.toml": "", **dict.fromkeys(files, "x")}) / "job.py"

    assert set(named(script)) == {
        "prompts/a.md",
        "data/part-1.csv",
        "years/2024/sales.csv",
        "x.toml",
        "pyproject.toml",
    }


def test_defaults_of_functions_and_parts_of_classes_are_evaluated(work: Path) -> None:
    source = (
        "from pathlib import Path\nROOT = Path(__file__).resolve().parents[3]\n"
        "RESOURCES = ROOT / 'resources'\n"
        "class Words:\n    stop = (RESOURCES / 'stop.txt').open().read()\n"
        "def load(path=RESOURCES / 'vocab.txt'):\n"
        "    here = Path(__file__).parent\n"
        "    return path.read_text(), (here / 'sub' / 'w.bin').read_bytes()\n"
    )
    files = {
        "jobs/run.py": "import pkg.io.reader\n",
        "src/pkg/__init__.py": "",
        "src/pkg/io/reader.py": source,
        "src/pkg/io/sub/w.bin": "",
        "resources/stop.txt": "",
        "resources/vocab.txt": "",
    }
    script = tree(work / "app", files) / "jobs/run.py"

    paths = {each.path for each in run(script).data}
    assert {"project/resources/stop.txt", "project/resources/vocab.txt"} <= paths
    assert "project/src/pkg/io/sub/w.bin" in paths


def test_what_is_written_what_is_no_path_and_what_is_code_stay(work: Path) -> None:
    source = (
        '"""Reads docs/readme.md."""\n'
        "import json, logging, os\nfrom pathlib import Path\n\n"
        "HERE = os.path.dirname(__file__)\nlogging.getLogger('out.log')\n"
        "NAMES = ['data', 'https://x.org/a.csv', 'application/json', 'see docs/readme.md']\n"
        "os.makedirs('out', exist_ok=True)\nOUT = Path('results')\nOUT.mkdir(exist_ok=True)\n"
        "(OUT / 'r.txt').write_text('x')\nwith open('out/metrics.json', 'w') as f:\n    json.dump({}, f)\n"
        "CODE = os.path.join(HERE, 'tools', 'gen.py')\n"
    )
    files = ["data/x.csv", "docs/readme.md", "out/metrics.json", "results/r.txt", "tools/gen.py"]
    script = tree(work / "app", {"job.py": source, **dict.fromkeys(files, "x = 1\n")}) / "job.py"

    assert named(script) == {}


def test_a_folder_with_modules_is_no_data_but_what_a_pattern_matches_in_it(work: Path) -> None:
    source = (
        "import sys\nfrom pathlib import Path\nROOT = Path(__file__).parent\nSRC = ROOT / 'src'\n"
        "sys.path.insert(0, str(SRC))\nimport lib.part\nprint(list(ROOT.rglob('*.yaml')), SRC)\n"
    )
    files = {"src/lib/part.py": "", "src/notes.md": "", "a/b.yaml": "", "c.yaml": ""}
    script = tree(work / "app", {"job.py": source, **files}) / "job.py"

    assert set(named(script)) == {"a/b.yaml", "c.yaml"}


def test_switches_exclude_and_comments_leave_it(work: Path) -> None:
    script = app(work, "print(open('conf/x.json').read())\n", "conf/x.json")

    assert set(named(script)) == {"conf/x.json"}
    assert named(script, ResolveSettings(rules_off=frozenset({"path"}))) == {}
    assert named(script, ResolveSettings(exclude=("conf/*.json",))) == {}
    script.write_text("print(open('conf/x.json').read())  # raybundle: ignore\n")
    assert named(script) == {}


def test_what_includes_names_is_theirs(work: Path) -> None:
    script = app(work, "print(open('conf/x.json').read())\n", "conf/x.json")

    [data] = run(script, ResolveSettings(include=("conf",))).data

    assert data.reason == "include conf"


def test_a_large_file_is_left_out_with_the_line_that_takes_it(work: Path) -> None:
    script = app(work, "print(len(open('data/big.bin', 'rb').read()))\n")
    (work / "app/data").mkdir()
    (work / "app/data/big.bin").write_bytes(bytes(11 << 20))

    [warning] = warned(script)
    assert "data/big.bin is left out: 11,534,336 bytes, more than data may have (10,485,760); " in warning
    assert '`include = ["data/big.bin"]` in [tool.raybundle] bundles it' in warning
    settled = ResolveSettings(include=("data/big.bin",))
    assert [each.path for each in run(script, settled).data] == ["project/data/big.bin"]
    assert warned(script, settled) == []


def test_a_folder_of_too_many_files_is_left_out_once(work: Path) -> None:
    source = "import os\nprint([open(os.path.join('data', name)) for name in os.listdir('data')])\n"
    script = tree(work / "app", {"job.py": source, **{f"data/{n}.txt": "" for n in range(1001)}}) / "job.py"

    assert named(script) == {}
    [warning] = warned(script)
    assert "data is left out: it has more than 1,000 files or 104,857,600 bytes; " in warning
    assert '`include = ["data"]` in [tool.raybundle] bundles it' in warning
    assert warned(script, ResolveSettings(include=("data",))) == []


def test_secrets_never_travel_by_a_path(work: Path) -> None:
    source = "print(open('.env').read(), open('keys/id_rsa').read(), open('conf/a.json').read())\n"
    files = {".env": "A=1\n", "keys/id_rsa": "x", "conf/a.json": "{}"}
    script = tree(work / "app", {"job.py": source, **files}) / "job.py"

    assert set(named(script)) == {"conf/a.json"}
    assert [each.partition("; ")[0] for each in warned(script)] == [
        ".env is left out: it may hold secrets, and what it sets is not set in the job",
        "keys/id_rsa is left out: its name is that of a secret (private-key)",
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"job.py": "from pathlib import Path\nFILE = Path('secrets/db_password')\nprint(FILE.read_text())\n"},
        {"job.py": "import json\njson.load(open('a.json'))\n", "a.json": '{"login": "secrets/db_password"}'},
        {"job.py": "import os\nfor each in os.listdir('secrets'):\n    open('secrets/' + each)\n"},
    ],
    ids=["source", "configuration", "directory"],
)
def test_a_secret_that_is_opened_by_a_neutral_name_stays_and_is_told(
    work: Path, files: dict[str, str]
) -> None:
    script = tree(work / "app", {**files, "secrets/db_password": "x"}) / "job.py"

    assert set(named(script)) <= {"a.json"}
    assert [each.partition("; ")[0] for each in warned(script)] == [
        "secrets/db_password is left out: its name is that of a secret (secret-file)"
    ]


def test_a_path_counts_from_where_the_job_starts_then_from_the_project(work: Path) -> None:
    files = {"jobs/job.py": "open('a.csv'), open('b.csv')\n", "jobs/a.csv": "", "a.csv": "", "b.csv": ""}
    top = tree(work / "app", files)
    at_root = resolve(
        ScriptTarget(top / "jobs/job.py"),
        ResolveSettings(),
        interpreter(work),
        top,
        knowing(work / "cache"),
    )
    below = resolve(
        ScriptTarget(top / "jobs/job.py"),
        ResolveSettings(),
        interpreter(work),
        top / "jobs",
        knowing(work / "cache"),
    )

    assert [each.path for each in at_root.data] == ["project/a.csv", "project/b.csv"]
    assert [each.path for each in below.data] == ["project/b.csv", "project/jobs/a.csv"]


def test_modules_that_a_named_configuration_names_are_followed(work: Path) -> None:
    files = {
        "job.py": "import sys, yaml\nprint(yaml.safe_load(open(sys.argv[1])))\n",
        "conf/a.yaml": "model: nets.small.Net\n",
        "nets/small.py": "class Net: ...\n",
    }
    script = tree(work / "app", files) / "job.py"
    settings = ResolveSettings(arguments=(str(work / "app/conf/a.yaml"),), cluster_provides=("pyyaml",))

    assert "nets.small" in {each.name for each in run(script, settings).modules}


def test_a_file_beside_a_module_of_another_root_travels_in_it(work: Path) -> None:
    tree(work / "app", {"job.py": "import lib\n"})
    source = "from pathlib import Path\nX = (Path(__file__).parent / 'lib_data' / 'x.json').read_text()\n"
    tree(work / "other", {"lib.py": source, "lib_data/x.json": "{}"})
    settings = ResolveSettings(roots=("../other",))

    assert [each.path for each in run(work / "app/job.py", settings).data] == ["root-1/lib_data/x.json"]


def test_a_module_target_has_them_too(work: Path) -> None:
    top = tree(work / "app", {"pkg/__init__.py": "", "pkg/run.py": "open('data/x.csv')\n", "data/x.csv": ""})
    target = ModuleTarget(ModuleName("pkg.run"))
    found = resolve(target, ResolveSettings(), interpreter(work), top, knowing(work / "cache"))

    assert [each.path for each in found.data] == ["project/data/x.csv"]


def test_a_loader_takes_the_templates_of_its_package(work: Path) -> None:
    script = project("field/package-loader", work) / "job.py"
    (script.parent / "pyproject.toml").touch()

    assert [each.path for each in run(script).data] == ["project/foo/bar/templates/mail/hello.html"]


@pytest.mark.parametrize(
    "call", ["jinja2.loaders.PackageLoader(package_name='app')", "Loader('app.sub', 'x')"]
)
def test_a_loader_under_another_name_takes_them_too(work: Path, call: str) -> None:
    source = f"import jinja2.loaders\nfrom jinja2 import PackageLoader as Loader\n{call}\n"
    files = {
        "app/__init__.py": "",
        "app/templates/a.html": "",
        "app/sub/__init__.py": "",
        "app/sub/x/b.html": "",
    }
    script = tree(work / "app", {"job.py": source, **files}) / "job.py"

    wanted = "project/app/sub/x/b.html" if "sub" in call else "project/app/templates/a.html"
    assert wanted in {each.path for each in run(script).data}


def test_what_stays_is_added_up_by_folder(work: Path) -> None:
    files = {
        "job.py": "",
        "data/a.csv": "12345",
        "data/b/c.csv": "123",
        "notes.txt": "1",
        "gone.log": "1234567",
    }
    top = tree(work / "app", {**files, "pyproject.toml": "", ".gitignore": "*.log\n"})
    subprocess.run(["git", "init", "--quiet", top], check=True)
    subprocess.run(["git", "-C", top, "add", "data/a.csv"], check=True)

    found = left_behind(top, {str(top / "job.py")}, os.environ)

    assert found == (LeftFolder("data", 2, 8), LeftFolder(".", 3, 7))


def test_outside_a_repository_the_data_that_stays_is_added_up(work: Path) -> None:
    top = tree(
        work / "app", {"job.py": "", "lib.py": "1", "README.md": "1", "data/b/c.csv": "123", ".x/d.csv": "1"}
    )

    assert left_behind(top, {str(top / "job.py")}, os.environ) == (LeftFolder("data", 1, 3),)


@pytest.mark.slow
def test_plan_says_what_stays(work: Path) -> None:
    place = make_workplace(work / "work")
    project = tree(place.directory / "app", {"job.py": "print(1)\n", "data/a.csv": "12345"})
    subprocess.run(["git", "init", "--quiet", project], check=True)

    text = place.raybundle("plan", "job.py", cwd=project).stdout
    document = json.loads(place.raybundle("--json", "plan", "job.py", cwd=project).stdout)

    assert (
        'in the project but not in the bundle: `include` bundles a file, `data = "tracked"` all data (2)'
        in text
    )
    assert document["left"] == [
        {"folder": "data", "files": 1, "bytes": 5},
        {"folder": ".", "files": 1, "bytes": 0},
    ]


def test_a_notebook_names_files_from_its_own_directory(work: Path) -> None:
    notebook = cells("x = 1", "print(open('d.csv').read())")
    top = tree(work / "app", {"lab/n.ipynb": notebook, "lab/d.csv": "", "d.csv": ""})
    target = NotebookTarget(top / "lab/n.ipynb")

    [data] = resolve(target, ResolveSettings(), interpreter(work), top, knowing(work / "cache")).data

    place, _, line = data.reason.removeprefix("named at ").removesuffix(" (path)").partition(":")
    assert (data.path, place) == ("project/lab/d.csv", "lab/n.ipynb")
    assert "d.csv" in notebook.splitlines()[int(line) - 1]


def test_an_environment_file_is_looked_for_up_to_the_root_of_the_source(work: Path) -> None:
    tree(work / "app", {"job.py": "import lib.inner\n"})
    source = "from dotenv import load_dotenv\nload_dotenv()\n"
    tree(work / "app-2", {"lib/__init__.py": "", "lib/inner.py": source})
    settings = ResolveSettings(roots=("../app-2",))

    assert [each for each in warned(work / "app/job.py", settings) if ".env" in each] == []
    (work / "app-2/.env").touch()
    [warning] = [each for each in warned(work / "app/job.py", settings) if ".env" in each]
    assert warning.startswith(f"{work}/app-2/.env is left out")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--config", "conf/a.yaml"], ["conf/a.yaml"]),
        (["--config=conf/a.yaml", "data"], ["conf/a.yaml", "data"]),
        (["model.conf=conf/a.yaml"], ["conf/a.yaml"]),
        (["a.yaml"], ["conf/a.yaml"]),
        (
            ["--output-dir", "runs", "--log=runs", "hydra.run.out=runs", "-o", "..", "", "/etc/hosts"],
            ["runs/"],
        ),
        (["--logits", "data"], ["data"]),
        (["--files=../data/x,a.yaml", "c:../runs/y"], ["data/x", "conf/a.yaml", "runs/y"]),
        (["--modes", "data,runs"], []),
        (["@args.txt"], ["conf/args.txt", "data/x"]),
    ],
)
def test_arguments_name_what_the_project_has(work: Path, words: list[str], expected: list[str]) -> None:
    tree(work / "app", {"conf/a.yaml": "", "conf/args.txt": "--data\ndata/x\n", "data/x": "", "runs/y": ""})
    found = named_by(words, work / "app", work / "app/conf")

    assert [each.removeprefix(f"{work}/app/") for each in found] == expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"APP_CONFIG": "conf/a.yaml", "DATA_DIR": "data"}, ["conf/a.yaml", "data"]),
        ({"WANDB_PROJECT": "data", "OUTPUT_DIR": "data", "PYTHONPATH": "data"}, ["data/"]),
    ],
)
def test_variables_of_the_job_name_what_the_project_has(
    work: Path, variables: dict[str, str], expected: list[str]
) -> None:
    tree(work / "app", {"conf/a.yaml": "", "data/x": ""})
    found = named_by([], work / "app", work / "app", variables)

    assert [each.removeprefix(f"{work}/app/") for each in found] == expected


@pytest.mark.parametrize(
    "source",
    [
        "import gettext\ngettext.translation('app', localedir='texts')\n",
        "import gettext\ngettext.bindtextdomain('app', 'texts')\n",
        "def make(f):\n    return f(template_folder='texts')\n",
        "from jinja2 import FileSystemLoader as L, ChoiceLoader\nChoiceLoader([L('texts'), L(['more'])])\n",
        "import os\nfor name in os.listdir('texts'):\n    print(name)\n",
    ],
)
def test_a_folder_with_a_plain_name_is_taken_where_a_call_uses_it_as_one(work: Path, source: str) -> None:
    script = app(work, source, "texts/de/LC/app.mo", "texts/a.html", "more/b.html")

    found = set(named(script, ResolveSettings(cluster_provides=("jinja2",))))
    assert found >= {"texts/de/LC/app.mo", "texts/a.html"}
    assert ("more/b.html" in found) == ("more" in source)


def test_files_that_a_named_configuration_names_are_taken(work: Path) -> None:
    source = "import yaml\nconf = yaml.safe_load(open('conf/train.yaml'))\nopen(conf['table'])\n"
    conf = (
        "table: data/a.csv  # the table\nvocab: 'words.txt'\nmore: {json: ../conf/deep.json}\nlr: 0.5\n"
        "url: https://x.org/data/b.csv\nmodel: nets.Net\nlist: [data/c.csv, data/none.csv]\nout: data\n"
    )
    files = {"job.py": source, "conf/train.yaml": conf, "conf/deep.json": '{"a": ["data/d.csv"]}'}
    others = [*map("data/{}.csv".format, "abcde"), "conf/words.txt", "data/secrets/id_rsa"]
    tree(work / "app", {**dict.fromkeys(others, ""), **files})
    script, settings = work / "app/job.py", ResolveSettings(cluster_provides=("pyyaml",))

    found = named(script, settings)

    assert found == {
        "conf/train.yaml": "named at job.py:2 (path)",
        "conf/deep.json": "named at conf/train.yaml:3 (path)",
        "conf/words.txt": "named at conf/train.yaml:2 (path)",
        "data/a.csv": "named at conf/train.yaml:1 (path)",
        "data/c.csv": "named at conf/train.yaml:7 (path)",
        "data/d.csv": "named at conf/deep.json:1 (path)",
    }


def test_files_in_configuration_that_is_an_argument_or_included_are_taken(work: Path) -> None:
    files = {"a.yaml": "x: data/a.csv\n", "b.toml": "x = 'data/b.csv'\n", "c.ini": "[x]\nx = data/c.csv\n"}
    script = app(work, "", *map("data/{}.csv".format, "abc"))
    tree(script.parent, files)
    settings = ResolveSettings(arguments=(str(script.parent / "a.yaml"),), include=("b.toml",))

    assert set(named(script, settings)) == {"a.yaml", "data/a.csv", "data/b.csv"}


def test_interpolated_paths_of_configuration_are_taken(work: Path) -> None:
    config = (
        "root: ${oc.env:ROOT,data}\nsub: ${root}/deep\na: ${sub}/a.csv\nb: ${.root}/b.csv\n"
        "c: ${hydra:runtime.cwd}/data/c.csv\nout: ${x}\n"
    )
    files = ("data/deep/a.csv", "data/b.csv", "data/c.csv")
    tree(work / "app", {"c.yaml": config, **dict.fromkeys((*files, "data/deep/d.csv"), "")})
    (work / "app/job.py").write_text("print(open('c.yaml').read())\n")

    assert {*files} <= set(named(work / "app/job.py"))


LISTED = {
    "list.csv": "path,label\nimages/a.png,1\nimages/absent.png,2\n0.5,1.5e3\n",
    "data/list.jsonl": '{"audio": "wavs/a.wav", "text": "as in README.md"}\n',
    "data/list.txt": "b.wav|b.txt\n",
    "data/a.lst": "../images/e.png\n",
    "data/more.tsv": "../images/b.png\tx y\n",
    "large.json": f'[{{"file": "images/c.png"}}, "{"x" * 70000}"]',
}


def test_files_that_a_list_names_are_taken(work: Path) -> None:
    names = "['list.csv', 'large.json', *glob.glob('data/*.*')]"
    job = f"import glob\nfor each in {names}:\n    print(open(each))\n"
    files = [*map("images/{}.png".format, "abce"), "data/wavs/a.wav", "data/b.wav"]
    tree(work / "app", {"job.py": job, **LISTED, **dict.fromkeys((*files, "README.md", "images/d.png"), "")})
    found = named(work / "app/job.py")

    assert set(found) == {*LISTED, *files}
    assert found["images/a.png"] == "named at list.csv:2 (path)"


def test_a_list_of_too_many_files_is_told_once(work: Path) -> None:
    names = [f"{each % 3}/{each}.png" for each in range(1001)]
    script = app(work, "print(open('list.txt').read())\n", *names)
    (work / "app/list.txt").write_text("\n".join(names))

    assert set(named(script)) == {"list.txt"}
    [warning] = warned(script)
    assert warning == (
        "files that list.txt names are left out: they are more than 1,000 files or 104,857,600 bytes; "
        '`include = ["0", "1", "2"]` in [tool.raybundle] bundles them; else `exclude` them'
    )
    assert warned(script, ResolveSettings(include=("0", "1", "2"))) == []
    assert warned(script, ResolveSettings(exclude=("[0-9]/*",))) == []


def test_a_large_file_that_configuration_names_is_told_with_its_place(work: Path) -> None:
    script = app(work, "open('a.yaml')\n")
    tree(script.parent, {"a.yaml": "\nx: big.bin\n"})
    (script.parent / "big.bin").write_bytes(bytes(11 << 20))

    [warning] = run(script).warnings
    assert (warning.file, warning.line) == (script.parent / "a.yaml", 2)
    assert "else `exclude` it" in (warning.hint or "")
    assert warned(script, ResolveSettings(exclude=("big.bin",))) == []
    assert warned(script, ResolveSettings(include=("big.bin",))) == []


@pytest.mark.parametrize(
    "source",
    [
        "for name in ['a', 'b']:\n    open(name + '.txt')\n",
        "import os\nfor name in ('a', 'b'):\n    open(os.path.join('d', name + '.txt'))\n",
        "name = 'a'\nopen(name + '.txt')\nname = 'b'\nopen(name + '.txt')\n",
        "def load(d='.'):\n    for name in ['a', 'b']:\n        open(f'{name}.txt')\n",
        "name = 'a.txt'\ndef load():\n    return open(name)\nopen(name)\nname = 'b' + '.txt'\n",
    ],
)
def test_each_value_of_a_name_counts(work: Path, source: str) -> None:
    folder = "d/" if "'d'" in source else ""
    script = app(work, source, f"{folder}a.txt", f"{folder}b.txt")

    assert set(named(script)) == {f"{folder}a.txt", f"{folder}b.txt"}


def test_a_pattern_of_sources_means_no_setup_script(work: Path) -> None:
    source = "import glob, runpy\nfor each in glob.glob('*.py'):\n    runpy.run_path(each)\n"
    files = {"job.py": source, "step.py": "", "setup.py": "open('README.md')\n", "README.md": ""}
    script = tree(work / "app", files) / "job.py"

    assert {each.path for each in run(script).modules} == {"project/job.py", "project/step.py"}
    assert named(script) == {}
