"""Following the hint of a warning settles it: the next build has nothing to say, and the job runs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import raybundle
from raybundle.resolve.walk.warnings import HIDES, PICKLE_UNREAD, PY_MODULES
from tests.support.bundled import Bundler
from tests.support.remedies import ROWS, Row, site_of
from tests.support.small_project import tree

SOURCES = Path(raybundle.__file__).parent

DISK = "integration/disk"
ELSEWHERE = {
    "of the job looks like a secret": "integration/cluster/embedded/test_canary.py",
    "they run as you: it was started": "integration/cluster/separate/test_local_cluster.py",
    "they run as you: Ray": "integration/cluster/separate/test_ray_versions.py",
    "edits `sys.path` by its place": f"{DISK}/resolve/test_targets.py",
    "is on the path, and on the nodes it comes first": f"{DISK}/resolve/test_targets.py",
    "was recorded with Python": f"{DISK}/resolve/test_tracing.py",
    "while traced: only what it did until then is known": f"{DISK}/resolve/test_tracing.py",
    "was opened while traced, and is gone": f"{DISK}/resolve/test_tracing.py",
    "was imported while traced, and is gone": f"{DISK}/resolve/test_tracing.py",
    "while traced, and the job takes": f"{DISK}/resolve/test_tracing.py",
    "because all data that git does not ignore has": f"{DISK}/resolve/test_tracked_data.py",
    " names are left out: they are more than": f"{DISK}/resolve/test_named_files.py",
    "the job does not find ": f"{DISK}/resolve/test_named_directories.py",
    "is not a root": f"{DISK}/resolve/test_tracing.py",
    "is stale: ": f"{DISK}/resolve/test_tracing.py",
    "and its workers have it from": f"{DISK}/explain/test_outside_driver.py",
    "this driver has": f"{DISK}/explain/test_outside_driver.py",
    "_newer(": f"{DISK}/bundle/test_libc.py",
    "and the environment differ": f"{DISK}/distributions/test_locks.py",
    "is editable: the bundle has only": f"{DISK}/distributions/test_needs.py",
    "has credentials in the URL": f"{DISK}/distributions/test_needs.py",
    "belongs to no installed distribution": f"{DISK}/distributions/test_obstacles.py",
    "is left out: it was installed without RECORD": f"{DISK}/distributions/test_obstacles.py",
    "was installed without RECORD: its files are not known": f"{DISK}/distributions/test_obstacles.py",
    "cannot be bundled: Ray": f"{DISK}/distributions/test_obstacles.py",
    "which comes first on the path, and is bundled from there": f"{DISK}/bundle/test_layers.py",
    "no byte-code of": f"{DISK}/bundle/test_layer_store.py",
    "it is read from the bundle's archive": f"{DISK}/bundle/test_layer_store.py",
    "text if file else": "unit/test_ray_environment.py",
    "`{remark.text}`": "support/remedies.py",  # begins the texts about remarks, whose other words are above
    "`{subject}`": "support/remedies.py",  # the same
}
"""Words of the texts of warnings that other tests cause and settle."""


def bundler_of(row: Row, work: Path) -> Bundler:
    bundler = Bundler(tree(work / "project", dict(row.files)), work)
    row.make(bundler.project)
    if row.site is not None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", work / "env"], check=True)
        row.site(site_of(bundler.project))
        bundler = Bundler(bundler.project, work, work / "env" / "bin" / "python")
    return bundler


@pytest.mark.slow
@pytest.mark.parametrize("kind", ROWS)
def test_following_the_hint_settles_the_warning(tmp_path: Path, kind: str) -> None:
    row = ROWS[kind]
    bundler = bundler_of(row, tmp_path)
    after = row.given if row.given_after is None else row.given_after

    said = bundler.told(row.target, **row.given)
    row.remedy(bundler.project)
    rest = bundler.told(row.target, **after)

    assert [each for each in said if row.says in each and row.hint in each] == said != []
    assert rest == []
    done = bundler.run(row.target, **after)
    assert (done.stdout, done.returncode) == (row.prints, 0), done.stderr


def texts() -> dict[str, str]:
    """The text of each warning that the sources make, with `{…}` for what is put in; and where."""
    found = {}
    for file in SOURCES.rglob("*.py"):
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef):
                for call in ast.walk(function):
                    match call:
                        case (
                            ast.Call(func=ast.Name(id="Warning"), args=[text, *_])
                            | ast.Call(func=ast.Name(id="_warnings" | "_left_warnings"), args=[_, _, text])
                        ):
                            for each in written(text, function):
                                found[each] = f"{file.relative_to(SOURCES)}:{call.lineno}"
    return {text: place for text, place in found.items() if not text.endswith("{what}")}


def written(node: ast.expr, function: ast.FunctionDef) -> list[str]:
    match node:
        case ast.JoinedStr(values=parts):
            return ["".join(written(part, function)[0] for part in parts)]
        case ast.Constant(value=str(value)):
            return [value]
        case ast.FormattedValue(value=ast.Name(id="HIDES")):
            return [HIDES]
        case ast.FormattedValue(value=ast.Name(id="PICKLE_UNREAD")):
            return [PICKLE_UNREAD]
        case ast.Name(id="PY_MODULES"):
            return [PY_MODULES]
        case ast.FormattedValue(value=value):
            return [f"{{{ast.unparse(value)}}}"]
        case ast.Name(id=name):
            values = [value for each in ast.walk(function) for value in assigned(each, name)]
            return [text for value in values for text in written(value, function)] or [f"{{{name}}}"]
        case _:
            return [ast.unparse(node)]


def assigned(node: ast.AST, name: str) -> list[ast.expr]:
    match node:
        case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
            return [value]
        case ast.AugAssign(target=ast.Name(id=target), value=value) if target == name:
            return [value]
        case ast.Assign(
            targets=[ast.Tuple(elts=[ast.Name(id=target), *_])], value=ast.Tuple(elts=[value, *_])
        ):
            return [value] if target == name else []
        case _:
            return []


def test_each_kind_of_warning_has_a_row() -> None:
    known = {*(row.says for row in ROWS.values()), *ELSEWHERE}
    unknown = {text: place for text, place in texts().items() if not any(words in text for words in known)}

    assert unknown == {}
    assert {name for name in ELSEWHERE.values() if not Path("tests", name).is_file()} == set()
