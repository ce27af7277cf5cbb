"""What the Airflow integration makes of a task, a connection and a log; Airflow itself is not needed."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest

from raybundle.errors import UsageError
from raybundle.integrations.airflow.connection import keywords_of
from raybundle.integrations.airflow.identity import base_id
from raybundle.integrations.airflow.lines import LogLines
from raybundle.submission.options import LONGEST_ID, JobOptions


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


def test_a_password_is_a_token_unless_there_is_a_user() -> None:
    pair = base64.b64encode(b"ann:pw").decode()
    users = keywords_of(connection(login="ann", password="pw"))
    token = keywords_of(connection(password="pw", extra_dejson={"headers": '{"X-Team": "search"}'}))

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
