"""What the Airflow integration makes of a task, a connection and a log; Airflow itself is not needed."""

from __future__ import annotations

import base64
import importlib
import pickle
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from raybundle.errors import UsageError
from raybundle.integrations.airflow.connection import keywords_of
from raybundle.integrations.airflow.identity import base_id
from raybundle.integrations.airflow.lines import LogLines
from raybundle.integrations.airflow.values import by_value, first_on_path, json_fault, keywords_for, portable
from raybundle.submission.options import LONGEST_ID, JobOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def context(start: str = "2026-01-01T00:00:00.000001Z", **more: Any) -> dict[str, Any]:
    facts = {
        "dag_id": "sales",
        "run_id": "manual__2026-01-01T00:00:00+00:00",
        "task_id": "train",
        "map_index": -1,
        "max_tries": 2,
    }
    return {"ti": SimpleNamespace(**{**facts, **more}), "dag_run": SimpleNamespace(start_date=start)}


def connection(**fields: Any) -> Any:
    nothing = dict.fromkeys(("host", "port", "schema", "login", "password"))
    return SimpleNamespace(**{"conn_id": "ray", "extra_dejson": {}, **nothing, **fields})


def test_another_try_of_a_task_has_the_same_id() -> None:
    expected = base_id(context(try_number=1, id="one"))

    assert base_id(context(try_number=2, id="two")) == expected


@pytest.mark.parametrize(
    "other",
    [
        {"max_tries": 3},
        {"map_index": 0},
        {"task_id": "evaluate"},
        {"run_id": "manual__2026-01-02T00:00:00+00:00"},
        {"dag_id": "returns"},
        {"start": "2026-01-01T00:00:00.000002Z"},
        {"dag_id": "sales-train", "task_id": "train"},
    ],
    ids=str,
)
def test_whatever_else_differs_has_another_id(other: dict[str, Any]) -> None:
    assert base_id(context(**other)) != base_id(context())


def test_parts_of_an_id_do_not_run_into_each_other() -> None:
    assert base_id(context(dag_id="a-b", task_id="c")) != base_id(context(dag_id="a", task_id="b-c"))


@pytest.mark.parametrize("name", ["x" * 250, "ключ", "a b/c", "-.-"])
def test_any_name_makes_an_id_that_ray_takes_and_numbers_fit_behind(name: str) -> None:
    made = base_id(context(dag_id=name, task_id=name))

    JobOptions(submission_id=f"{made}-9999").check()

    assert len(made) < LONGEST_ID - 20


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"host": "https://ray.example.com"}, "https://ray.example.com"),
        ({"host": "https://ray.example.com/team/", "port": 8443}, "https://ray.example.com:8443/team/"),
        ({"host": "https://ray.example.com:1", "port": 8443}, "https://ray.example.com:1"),
        ({"host": "head", "port": 8265}, "http://head:8265"),
        ({"host": "head", "port": 8265, "schema": "https"}, "https://head:8265"),
        ({"host": "[::1]", "port": 8265}, "http://[::1]:8265"),
        ({}, None),
    ],
)
def test_the_address_is_a_url_or_is_made_of_its_fields(fields: dict[str, Any], expected: str | None) -> None:
    assert keywords_of(connection(**fields)).get("address") == expected


@pytest.mark.parametrize("headers", [{"X-Team": "search"}, '{"X-Team": "search"}'], ids=["JSON", "form"])
def test_a_password_is_a_token_unless_there_is_a_user(headers: Any) -> None:
    pair = base64.b64encode(b"ann:pw").decode()
    users = keywords_of(connection(login="ann", password="pw"))
    token = keywords_of(connection(password="pw", extra_dejson={"headers": headers}))

    assert users == {"headers": {"Authorization": f"Basic {pair}"}}
    assert token == {"headers": {"X-Team": "search", "Authorization": "Bearer pw"}}


def test_what_the_form_leaves_empty_is_not_set() -> None:
    form = {"store": "s3://b/p", "verify": "false", "client_cert": "", "profile": None, "headers": ""}

    assert keywords_of(connection(extra_dejson=form)) == {"store": "s3://b/p", "verify": False}


def test_headers_that_are_not_an_object_are_refused_without_being_shown() -> None:
    with pytest.raises(UsageError, match="the connection ray is not a JSON object") as caught:
        keywords_of(connection(extra_dejson={"headers": "Bearer secret"}))

    assert "secret" not in str(caught.value)


def test_lines_are_whole_and_the_last_ones_are_kept() -> None:
    taken: list[str] = []
    lines = LogLines(taken.append)
    for piece in ("a", "b\nc\n", *[f"{number}\n" for number in range(30)], "end"):
        lines.write(piece)

    assert lines.end() == "\n".join([*map(str, range(11, 30)), "end"])
    assert taken[:2] == ["ab", "c"]
    assert taken[-1] == "end"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [1, 2.5, None, True, "x", ("y",)]}, None),
        ({1}, "the result is a set"),
        ({"a": [0, b"x"]}, "the result['a'][1] is a bytes"),
        ({"a": {3: 1}}, "the result['a'] has the key 3"),
    ],
)
def test_a_result_is_json_or_the_part_is_named_that_is_not(value: Any, expected: str | None) -> None:
    assert json_fault(value) == expected


def test_a_function_gets_what_it_is_given_and_what_it_names_of_the_context() -> None:
    def call(first: str, *, ds: str, run_id: str, **more: int) -> None: ...

    context = {"ds": "2026-01-01", "run_id": "context", "ti": None, "first": "context"}

    expected = {"ds": "2026-01-01", "run_id": "given", "n": 1}
    assert keywords_for(call, ["x"], {"run_id": "given", "n": 1}, context) == expected
    with pytest.raises(TypeError, match=r"missing a required .*'run_id'"):
        keywords_for(call, ["x"], {}, {"ds": "2026-01-01"})


def test_only_a_parameter_of_its_own_name_is_filled_from_the_context() -> None:
    def call(*days: str, ds: str, **params: str) -> None: ...

    expected = {"ds": "2026-01-01"}

    assert keywords_for(call, ["a", "b", "c"], {}, {"ds": "2026-01-01", "days": [], "params": {}}) == expected


def test_objects_of_airflow_stay_here_and_results_of_mapped_tasks_become_a_list() -> None:
    task = type("RuntimeTaskInstance", (), {"__module__": "airflow.sdk.execution_time"})
    mapped = type("LazyXComSequence", (list,), {"__module__": "airflow.sdk.execution_time"})

    assert type(portable("1", mapped([1, 2]))) is list
    with pytest.raises(UsageError, match="argument `ti` is a RuntimeTaskInstance of Airflow"):
        portable("`ti`", task())


@pytest.mark.parametrize(("entries", "expected"), [([".", "dags"], "dags"), (["."], "."), ([], "dags/team")])
def test_the_project_begins_at_the_entry_of_the_path_that_has_the_dag_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entries: Sequence[str], expected: str
) -> None:
    before = ["/elsewhere", *[str((tmp_path / each).resolve()) for each in entries]]
    monkeypatch.setattr(sys, "path", before.copy())

    with first_on_path(tmp_path / "dags" / "team" / "dag.py"):
        assert sys.path == [str((tmp_path / expected).resolve()), *before]
    assert sys.path == before


def test_what_a_dag_file_defines_travels_by_value_though_its_module_has_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "named_dag.py"
    file.write_text("class Model:\n    size = 3\n\n\ndef size():\n    return Model.size\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("named_dag")

    with by_value(module.size, tmp_path / "other.py"):
        assert b"named_dag" in cloudpickle.dumps(module.Model)
    with by_value(module.size, file):
        carried = cloudpickle.dumps((module.size, module.Model))
    monkeypatch.delitem(sys.modules, "named_dag")
    file.unlink()
    importlib.invalidate_caches()

    size, model = pickle.loads(carried)  # noqa: S301 - just made
    assert (size(), model.size) == (3, 3)
    assert not cloudpickle.list_registry_pickle_by_value()
