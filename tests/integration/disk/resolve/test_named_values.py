"""Values of configuration and arguments name files in each form that people write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from raybundle.node.scratch.raybundle_fill import EMPTY
from raybundle.resolve.driver.arguments import named_by
from raybundle.resolve.resolve import ResolveSettings
from tests.integration.disk.resolve.test_resolve import run
from tests.support.bundled import Bundler
from tests.support.planted import pem
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path


def travels(script: Path, *arguments: str) -> set[str]:
    given = ResolveSettings(arguments=named_by(arguments, script.parent, script.parent))
    return {each.path.removeprefix("project/") for each in run(script, given).data}


PLAIN = {
    "json": ('{"vocab": "VOCAB", "kind": "big", "n": 3}', {"VOCAB"}),
    "yaml": ("files:\n  - VOCAB\n  - 'MERGES'\nother: [big, train]\n", {"VOCAB", "MERGES"}),
    "beside it": ("vocab: vocab\n", {"conf/vocab"}),
    "toml": ('[model]\nweights = "bin/weights"  # of today\n', {"bin/weights"}),
    "a folder is no file": ("model: bin\nflag: yes\n", set[str]()),
    "an output": ('{"out": "VOCAB", "log_file": "MERGES"}', set[str]()),
    "no output": ('{"login": "VOCAB", "layout": "MERGES", "catalog": "bin"}', {"VOCAB", "MERGES"}),
}


@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_name_in_configuration_means_a_file_of_the_project(tmp_path: Path, kind: str) -> None:
    text, expected = PLAIN[kind]
    files = dict.fromkeys(["VOCAB", "MERGES", "NOTICE", "conf/vocab", "bin/weights"], "")
    job = {"job.py": "print(open('conf/c.yaml').read())\n", "conf/c.yaml": text}

    assert travels(tree(tmp_path / "app", {**files, **job}) / "job.py") == {"conf/c.yaml", *expected}


@pytest.mark.parametrize(
    ("key", "is_read"),
    [
        *((each, True) for each in ("template_dir", "layout_dir", "logo_dir", "catalogRoot", "checkpoint")),
        *((each, False) for each in ("logDir", "out_dir", "tmpdir", "save_path", "checkpoint_dir")),
    ],
)
def test_the_words_of_a_key_say_if_its_folder_is_read(tmp_path: Path, key: str, *, is_read: bool) -> None:
    files = {"job.py": "print(open('c.yaml').read())\n", "c.yaml": f"{key}: data/a\n", "data/a/b.txt": ""}

    found = travels(tree(tmp_path / "app", files) / "job.py")

    assert found == {"c.yaml", "data/a/b.txt" if is_read else f"data/a/{EMPTY}"}


JSON = {
    "list": ["a/one.txt", "a/two.txt"],
    "table": {"files": ["a/one.txt"], "more": {"deep": "a/two.txt", "n": 1}},
    "a key without a value": {"path": "a/one.txt", "out": None, "two": "a/two.txt"},
}


@pytest.mark.parametrize("kind", JSON)
def test_the_values_of_an_argument_in_json_name_files(tmp_path: Path, kind: str) -> None:
    script = tree(tmp_path / "app", {"job.py": "", "a/one.txt": "", "a/two.txt": "", "b.txt": ""}) / "job.py"
    text = json.dumps(JSON[kind])

    for words in ([text], ["--spec", text], [f"--spec={text}"]):
        assert travels(script, *words) == {"a/one.txt", "a/two.txt"}


def test_what_an_argument_in_json_writes_does_not_travel(tmp_path: Path) -> None:
    script = tree(tmp_path / "app", {"job.py": "", "a/one.txt": ""}) / "job.py"

    assert travels(script, '{"output": "a/one.txt"}', "[1, null]", "{}", "[") == {f"a/{EMPTY}"}


IN_HERE = [
    "os.path.dirname(os.path.abspath(sys.argv[0]))",
    "os.path.dirname(__main__.__file__)",
    "os.path.dirname(sys.modules[__name__].__file__)",
    "os.path.dirname(os.path.abspath(inspect.getfile(inspect.currentframe())))",
    "os.path.dirname(inspect.getsourcefile(lambda: 0))",
    "os.path.dirname(inspect.stack()[0].filename)",
    "os.path.dirname(inspect.stack()[0][1])",
    "os.path.dirname(main.__code__.co_filename)",
    "os.path.dirname(globals()['__file__'])",
    "os.path.dirname(__spec__.origin)",
    "str(Path(sys.argv[0]).resolve().parent)",
    "sys.path[0]",
]


@pytest.mark.parametrize("expression", IN_HERE)
def test_each_way_to_ask_for_the_source_itself_is_known(tmp_path: Path, expression: str) -> None:
    source = (
        "import inspect, os, sys, __main__\nfrom pathlib import Path\n\n\ndef main():\n"
        f"    base = {expression}\n    print(open(os.path.join(base, 'own.cfg')).read())\n"
    )
    project = tree(tmp_path / "app", {"scripts/job.py": source, "scripts/own.cfg": "", "own.cfg": ""})

    assert {each.path for each in run(project / "scripts/job.py").data} == {"project/scripts/own.cfg"}


LISTED = [
    "os.listdir('.')",
    "os.listdir()",
    "os.scandir()",
    "glob.glob('*')",
    "Path('.').iterdir()",
    "Path.cwd().iterdir()",
    "Path().glob('*')",
    "Path(__file__).parent.iterdir()",
    "os.listdir(os.path.dirname(os.path.abspath(__file__)))",
    "os.listdir(os.getcwd())",
]


@pytest.mark.parametrize("expression", LISTED)
def test_what_the_job_lists_where_it_runs_travels(tmp_path: Path, expression: str) -> None:
    source = f"import glob, os\nfrom pathlib import Path\nprint([open(f) for f in {expression}])\n"
    files = {"job.py": source, "a.csv": "", "b": "", "sub/c.csv": "", ".hidden": "", "other.py": ""}

    assert travels(tree(tmp_path / "app", files) / "job.py") == {"a.csv", "b", "pyproject.toml"}


@pytest.mark.parametrize(
    "expression", ["os.walk('.')", "Path('.').rglob('*')", "os.walk(os.getcwd())", "Path().rglob('*.csv')"]
)
def test_what_the_job_walks_over_travels(tmp_path: Path, expression: str) -> None:
    source = f"import os\nfrom pathlib import Path\nimport lib.a\nprint([open(f) for f in {expression}])\n"
    files = {
        "job.py": source,
        "a.csv": "",
        "sub/c.csv": "",
        "lib/a.py": "",
        "lib/d.csv": "",
        ".git/e.csv": "",
    }

    found = travels(tree(tmp_path / "app", files) / "job.py")

    assert found - {"pyproject.toml"} == {"a.csv", "sub/c.csv", "lib/d.csv"}


@pytest.mark.parametrize("call", ["os.listdir('.')", "os.listdir()", "glob.glob('*')"])
def test_what_the_job_lists_where_it_has_changed_to_travels(tmp_path: Path, call: str) -> None:
    source = f"import glob, os\nos.chdir('work')\nprint({call})\n"
    files = {"job.py": source, "work/a.txt": "", "work/b/c.txt": "", "d.txt": ""}

    assert {"work/a.txt", "work/b/c.txt"} <= travels(tree(tmp_path / "app", files) / "job.py")


WRITES = {
    "append": "with open('run.log', 'a') as f:\n    f.write('x')\n",
    "logging": "import logging\nlogging.basicConfig(filename='run.log')\n",
    "configuration": "import logging.config\nlogging.config.fileConfig('c.ini')\n",
    "a table": "import yaml\nprint(yaml.safe_load(open('c.yaml')))\n",
}


@pytest.mark.parametrize("kind", WRITES)
def test_a_log_that_the_job_writes_does_not_travel(tmp_path: Path, kind: str) -> None:
    files = {"c.ini": "[handler_f]\nargs=('run.log', 'w')\n", "c.yaml": "h:\n  filename: run.log\n"}
    project = tree(tmp_path / "app", {**files, "job.py": WRITES[kind], "run.log": ""})

    assert "run.log" not in travels(project / "job.py")


KEPT = {
    "it is listed": ("import os\nprint(os.listdir('inbox'))\n", ["inbox"]),
    "it is gone over": ("from pathlib import Path\nprint(list(Path('inbox').iterdir()))\n", ["inbox"]),
    "a file is written there": ("open('out/result.txt', 'w').close()\n", ["out"]),
    "files are written there": (
        "from pathlib import Path\nO = Path('out')\nfor n in 'ab':\n    (O / f'{n}.txt').write_text('')\n",
        ["out"],
    ),
    "the job changes to it": ("import os\nos.chdir('out')\nopen('x.txt', 'w').close()\n", ["out"]),
    "the job makes it": ("import os\nos.makedirs('out', exist_ok=True)\nopen('out/x', 'w').close()\n", []),
    "it has secrets": ("import os\nprint(os.listdir('secrets'))\n", []),
    "it has files": ("open('full/result.txt', 'w').close()\nprint(open('full/a.txt').read())\n", []),
}


@pytest.mark.parametrize("kind", KEPT)
def test_a_directory_that_the_job_must_find_is_there_although_it_is_empty(tmp_path: Path, kind: str) -> None:
    source, kept = KEPT[kind]
    project = tree(tmp_path / "app", {"job.py": source, "full/a.txt": "", "secrets/a": ""})
    for each in ("inbox", "out", "other"):
        (project / each).mkdir()

    assert travels(project / "job.py") - {"full/a.txt"} == {f"{each}/.raybundle-empty" for each in kept}


@pytest.mark.slow
def test_a_job_finds_its_empty_directories_from_the_bundle(tmp_path: Path) -> None:
    source = (
        "import os\nprint(os.listdir('inbox'))\n"
        "with open('out/x.txt', 'w') as f:\n    print(f.write('abc'))\n"
    )
    project = tree(tmp_path / "project", {"job.py": source})
    (project / "inbox").mkdir()
    (project / "out").mkdir()
    bundler = Bundler(project, tmp_path)

    assert bundler.told() == []
    assert bundler.run().stdout == bundler.here() == "[]\n3\n"


QUERIES = {
    "a query": "duckdb.sql(\"select count(*) from 'data/a.csv'\")\n",
    "a form": "duckdb.sql(\"select * from 'data/*.csv' d\")\n",
    "over lines": 'SQL = """\nselect *\nfrom read_csv_auto(\'data/a.csv\') m\n"""\nduckdb.sql(SQL)\n',
    "a list": "duckdb.sql(\"select * from read_csv(['data/a.csv'])\")\n",
    "a name": "NAME = 'data/a.csv'\nduckdb.sql(f\"create table t as select * from '{NAME}'\")\n",
    "a join": "polars.sql(\"select * from t join 'data/a.csv' using (a)\")\n",
}


@pytest.mark.parametrize("kind", QUERIES)
def test_a_file_in_a_query_travels(tmp_path: Path, kind: str) -> None:
    project = tree(tmp_path / "app", {"job.py": QUERIES[kind], "data/a.csv": "", "data/b.txt": ""})

    assert travels(project / "job.py") == {"data/a.csv"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.sql", "select max(a)\nfrom read_csv('data/a.csv') -- best\n"),
        ("q.xml", '<a><data path="data/a.csv"/></a>\n'),
        ("q.properties", "data.file=data/a.csv\n"),
    ],
)
def test_a_file_in_another_text_travels(tmp_path: Path, name: str, text: str) -> None:
    files = {"job.py": f"print(open('{name}').read())\n", name: text, "data/a.csv": "", "data/b.txt": ""}

    assert travels(tree(tmp_path / "app", files) / "job.py") == {name, "data/a.csv"}


def test_certificates_travel_and_keys_do_not(tmp_path: Path) -> None:
    files = {"ca.pem": pem("CERTIFICATE"), "key.pem": pem("PRIVATE KEY"), "both.pem": pem("CERTIFICATE")}
    files["both.pem"] += "\n" + pem("RSA PRIVATE KEY")
    project = tree(tmp_path / "app", {"job.py": f"NAMES = {[*files]}\n", **files})

    assert travels(project / "job.py") == {"ca.pem"}
    assert {each.text.partition(" ")[0] for each in run(project / "job.py").warnings} == {
        "key.pem",
        "both.pem",
    }


def test_a_folder_outside_the_project_is_told_once(tmp_path: Path) -> None:
    source = (
        "from pathlib import Path\nDATA = Path(__file__).parent.parent / 'data'\n"
        "print((DATA / 'x.csv').read_text(), (DATA / 'y.csv').read_text())\n"
    )
    project = tree(tmp_path / "top", {"app/job.py": source, "data/x.csv": "", "data/y.csv": ""})
    (project / "app/pyproject.toml").touch()

    [told] = run(project / "app/job.py").warnings

    assert told.text == f"{project}/data is left out: it is outside the project"
