"""Files and directories are found in each form in which people write their paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from raybundle.node.scratch.raybundle_fill import EMPTY
from raybundle.resolve.driver.arguments import named_by
from raybundle.resolve.resolve import ResolveSettings
from tests.integration.disk.resolve.test_resolve import run
from tests.support.bundled import Bundler
from tests.support.small_project import tree

if TYPE_CHECKING:
    from pathlib import Path

FORMS = {
    "bytes": ("print(open(b'a/b.txt').read())", {"a/b.txt"}),
    "URL of a file": (
        """
import os, pandas
from pathlib import Path
pandas.read_csv('file://' + os.path.abspath('a/b.csv'))
pandas.read_csv(f'file://{os.getcwd()}/a/c.csv')
pandas.read_csv('file://' + str(Path(__file__).parent / 'd.csv'))
""",
        {"a/b.csv", "a/c.csv", "d.csv"},
    ),
    "directory of a dataset": (
        """
import datasets, transformers, pyarrow.dataset as ds
ds.dataset('lake')
datasets.load_from_disk('disk')
transformers.AutoModel.from_pretrained('model')
""",
        {"lake/x/1.csv", "disk/state.json", "model/config.json"},
    ),
    "loop over directories": (
        """
import os
for each in ['one', 'two']:
    print(os.listdir(each))
for key, (folder, _) in {'k': ('three', 1)}.items():
    print(os.listdir(folder))
for number, each in enumerate(('four',)):
    print(os.listdir(each))
for each, _ in zip(['five'], [1]):
    print(os.listdir(each))
""",
        {f"{each}/x.txt" for each in ("one", "two", "three", "four", "five")},
    ),
    "comprehension over directories": (
        """
import jinja2
DIRS = ['pages', 'parts']
jinja2.ChoiceLoader([jinja2.FileSystemLoader(each) for each in DIRS])
{each: jinja2.FileSystemLoader(at) for each, at in {'k': 'mails'}.items()}
""",
        {"pages/a.html", "parts/b.html", "mails/c.html"},
    ),
    "own variables": (
        """
import os
os.environ["EXP"] = "runs/first"
os.environ.setdefault("SPLIT", "train")
os.environ.update({"OTHER": "more/stuff"})
print(open(os.path.expandvars("$EXP/x.txt")), open(os.path.expandvars("${EXP}/${SPLIT}.txt")))
print(open(os.environ["OTHER"] + "/o.txt"), open(os.path.join(os.getenv("EXP"), "j.txt")))
print(open(os.environ.get("EXP", "none") + "/k.txt"), open(os.path.expandvars("$HOME/x.txt")))
""",
        {"more/stuff/o.txt", *(f"runs/first/{each}.txt" for each in ("x", "train", "j", "k"))},
    ),
    "templates of strings": (
        """
from string import Template
PATTERN = Template("inputs/${split}.txt")
for split in ("train", "test"):
    print(open(PATTERN.substitute(split=split)))
def load(name):
    return open(Template("conf/$name.yaml").substitute(name=name))
""",
        {"inputs/train.txt", "inputs/test.txt", "conf/a.yaml"},
    ),
    "directories given to libraries": (
        """
import lancedb, streaming
DATABASE = "stores/b"
lancedb.connect("stores/a"), lancedb.connect(DATABASE), streaming.Shards(local="stores/c")
lancedb.connect(output="kept/old"), print("kept/old")
""",
        {"stores/a/x.lance", "stores/b/y/z.lance", "stores/c/0.mds"},
    ),
    "directories in variables and tables": (
        """
import lancedb, streaming
DATABASE = "stores/a"
SHARDS = {"local": "stores/c", "output": "kept/old"}
LOGS = "kept/old"
lancedb.connect(DATABASE)
streaming.Shards(**SHARDS)
""",
        {"stores/a/x.lance", "stores/c/0.mds"},
    ),
    "list that grows": (
        """
NAMES = ['x']
NAMES.append('y')
for each in NAMES:
    print(open(f'd/{each}.txt').read())
""",
        {"d/x.txt", "d/y.txt"},
    ),
    "directories of a pattern": (
        """
from pathlib import Path
newest = sorted(Path('runs').glob('v*'))[-1]
print((newest / 'w.txt').read_text(), sorted(Path('t').glob('*.csv')))
""",
        {"runs/v1/w.txt", "runs/v2/w.txt", "t/a.csv/part-0", "t/b.csv"},
    ),
}


@pytest.mark.parametrize("kind", FORMS)
def test_a_path_in_each_form_is_followed(tmp_path: Path, kind: str) -> None:
    source, expected = FORMS[kind]
    others = ["runs/old/w.txt", "t/c/part-0", "other/x.txt", "e/y.txt", "kept/old/x"]
    top = tree(tmp_path / "app", {"job.py": source, **dict.fromkeys([*expected, *others], "")})

    found = run(top / "job.py")

    assert {each.path.removeprefix("project/") for each in found.data} == expected
    assert not found.warnings


WRITES = """
import argparse, json, os
parser = argparse.ArgumentParser()
parser.add_argument("--out")
parser.add_argument("--logs", default="logs")
parser.add_argument("--best", default="best/model.bin")
given = parser.parse_args()
config = json.load(open("c.json"))
for each in (given.out or "x", given.logs, "tables/a/b", *config.values(), os.path.dirname(given.best)):
    with open(os.path.join(os.path.dirname(each) if "." in each else each, "x.txt"), "w") as stream:
        stream.write("x")
print("written")
"""
WRITTEN = ("logs", "best", "tables/a/b", "runs/ckpt", "states", "done", "x")


def test_empty_directories_into_which_a_job_writes_are_there(tmp_path: Path) -> None:
    config = '{"checkpoints": "runs/ckpt", "state": "states/today.bin", "output_dir": "done"}'
    top = tree(tmp_path / "app", {"job.py": WRITES, "c.json": config, "full/old.txt": ""})
    for each in (*WRITTEN, "given", "never/used"):
        (top / each).mkdir(parents=True)
    (top / "x/.gitkeep").touch()

    arguments = named_by(["--out=x", "--out", "full", "--table", "given/t.csv"], top, top)
    found = run(top / "job.py", ResolveSettings(arguments=arguments)).data

    kept = {each.path.removeprefix("project/").removesuffix(f"/{EMPTY}") for each in found}
    assert kept == {*WRITTEN, "given", "full", "c.json"}


@pytest.mark.slow
def test_a_job_writes_into_directories_that_were_empty(tmp_path: Path) -> None:
    config = '{"checkpoints": "runs/ckpt", "state": "states/today.bin", "output_dir": "done"}'
    top = tree(tmp_path / "app", {"job.py": WRITES.replace('"x",', '"logs",'), "c.json": config})
    for each in WRITTEN:
        (top / each).mkdir(parents=True)

    done = Bundler(top, tmp_path).run()

    assert (done.returncode, done.stdout) == (0, "written\n"), done.stderr
