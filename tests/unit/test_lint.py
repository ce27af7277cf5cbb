"""What a literal `runtime_env` says of the tasks that it is given to: outside the bundle, or on top of it."""

from __future__ import annotations

import pytest

from raybundle.resolve.interpreter.markers import Environment
from raybundle.resolve.scan.scan import scan

LINUX = Environment((3, 11, 7), "linux", "x86_64", "cpython")


def remarks(source: str) -> list[tuple[str, str]]:
    return [(each.kind, each.text) for each in scan(source.encode(), "job.py", LINUX).remarks]


@pytest.mark.parametrize(
    "source",
    [
        "E = {'working_dir': '.'}; f.options(runtime_env=E)",
        "@ray.remote(runtime_env=dict(working_dir='.'))\ndef f(): ...",
        "f.options(**{'runtime_env': {'working_dir': '.'}})",
        "runtime_env = {}; runtime_env['working_dir'] = '.'; f.options(runtime_env=runtime_env)",
    ],
)
def test_a_runtime_env_of_a_task_with_code_of_its_own_is_a_remark(source: str) -> None:
    assert remarks(source) == [("runtime-env", "working_dir")]


@pytest.mark.parametrize("place", ["s3://bucket/code.zip", "/opt/code", "../other", "src"])
@pytest.mark.parametrize(
    "source",
    [
        "ray.init(runtime_env={'working_dir': PLACE})",
        "ray.init(runtime_env=RuntimeEnv(working_dir=PLACE))",
        "from ray import init\nENV = {}\nENV['working_dir'] = PLACE\ninit(runtime_env=ENV)",
        "runtime_env: dict = {'working_dir': PLACE}",
    ],
)
def test_a_literal_working_dir_of_ray_init_that_is_not_the_project_is_a_remark(
    source: str, place: str
) -> None:
    assert remarks(source.replace("PLACE", repr(place))) == [("working-dir", place)]


@pytest.mark.parametrize(
    "fields",
    [
        "'working_dir': '.'",
        "'working_dir': os.getcwd()",
        "'working_dir': None",
        "'worker_process_setup_hook': configure",
        "'worker_process_setup_hook': 'pkg.setup.configure'",
        "'env_vars': dict(os.environ), 'excludes': ['*.bin'], 'config': {'setup_timeout_seconds': 9}",
        "'py_modules': []",
        "'py_modules': found()",
        "**shared",
    ],
)
def test_what_a_bundle_combines_with_ray_init_is_no_remark(fields: str) -> None:
    assert remarks(f"ray.init(runtime_env={{{fields}}})") == []


def test_literal_py_modules_of_ray_init_are_a_remark_of_their_own() -> None:
    assert remarks("ray.init(runtime_env={'py_modules': ['lib']})") == [("py-modules", "py_modules")]
    assert remarks("ray.init(runtime_env={'py_modules': ['lib']})  # raybundle: ignore") == []


@pytest.mark.parametrize("field", ["working_dir", "py_modules", "py_executable"])
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
