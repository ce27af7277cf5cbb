"""What a literal `runtime_env` says of the tasks that it is given to: outside the bundle, or on top of it."""

from __future__ import annotations

import pytest

from raybundle.graph.conditions import Environment
from raybundle.graph.scan import scan

LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")


@pytest.mark.parametrize(
    "source",
    [
        "ray.init(runtime_env={'working_dir': '.'})",
        "ray.init(runtime_env=RuntimeEnv(working_dir='.'))",
        "E = {'working_dir': '.'}; f.options(runtime_env=E)",
        "@ray.remote(runtime_env=dict(working_dir='.'))\ndef f(): ...",
        "runtime_env = {}; runtime_env['working_dir'] = '.'",
    ],
)
def test_a_runtime_env_with_code_of_its_own_is_a_remark(source: str) -> None:
    assert [each.text for each in scan(source.encode(), "job.py", LINUX).remarks] == ["working_dir"]


@pytest.mark.parametrize("field", ["working_dir", "py_modules", "py_executable", "worker_process_setup_hook"])
@pytest.mark.parametrize("given", ["@ray.remote({})\nclass A: ...", "A.options({}).remote()"])
def test_a_task_that_leaves_the_bundle_is_a_remark_with_its_line(given: str, field: str) -> None:
    source = given.replace("{}", f"runtime_env={{'env_vars': {{'A': '1'}}, '{field}': x}}")

    [remark] = scan(source.encode(), "job.py", LINUX).remarks
    assert (remark.line, remark.kind, remark.text) == (1, "runtime-env", field)


@pytest.mark.parametrize("field", ["pip", "uv", "conda"])
def test_a_task_with_an_environment_on_top_is_a_remark_of_its_own(field: str) -> None:
    source = f"f.options(runtime_env={{'{field}': ['emoji']}}).remote()"

    [remark] = scan(source.encode(), "job.py", LINUX).remarks
    assert (remark.kind, remark.text) == ("installer", field)


def test_a_runtime_env_without_code_is_none() -> None:
    source = "ray.init(runtime_env={'env_vars': {'working_dir': '1'}})"

    assert scan(source.encode(), "job.py", LINUX).remarks == ()
