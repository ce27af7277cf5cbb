"""Values of configuration and arguments name files in each form that people write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from raybundle.resolve.driver.project import named_by
from raybundle.resolve.resolve import ResolveSettings
from tests.integration.disk.resolve.test_resolve import run
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

    assert found == ({"c.yaml", "data/a/b.txt"} if is_read else {"c.yaml"})


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

    assert travels(script, '{"output": "a/one.txt"}', "[1, null]", "{}", "[") == set()
