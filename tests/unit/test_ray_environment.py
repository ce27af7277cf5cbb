from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.errors import UsageError
from raybundle.submission.ray_environment import (
    HOOK,
    KNOWN,
    REFUSED,
    RayEnvironment,
    read_ray_environment,
)

if TYPE_CHECKING:
    from pathlib import Path


def read(cwd: Path, value: object = None, working_dir: str | None = None) -> RayEnvironment:
    return read_ray_environment(None, None if value is None else json.dumps(value), working_dir, cwd)


def read_yaml(cwd: Path, text: str, working_dir: str | None = None) -> RayEnvironment:
    (cwd / "env.yaml").write_text(text, "utf-8")
    return read_ray_environment("env.yaml", None, working_dir, cwd)


def refusal(cwd: Path, value: object, working_dir: str | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        read(cwd, value, working_dir)
    return f"{caught.value}\nhint: {caught.value.hint}"


def yaml_refusal(cwd: Path, text: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_yaml(cwd, text)
    return f"{caught.value}\nhint: {caught.value.hint}"


@pytest.mark.parametrize("value", [None, {}, dict.fromkeys(KNOWN)])
def test_no_options_and_empty_keys_ask_for_nothing(tmp_path: Path, value: object) -> None:
    assert read(tmp_path, value) == RayEnvironment()


def test_an_empty_file_asks_for_nothing(tmp_path: Path) -> None:
    assert read_yaml(tmp_path, "# nothing yet\n") == RayEnvironment()


def test_the_two_ways_to_give_a_runtime_env_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both --runtime-env and --runtime-env-json"):
        read_ray_environment("env.yaml", "{}", None, tmp_path)


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    value = {"env_vars": {"A": "1"}, "config": {"setup_timeout_seconds": 60}, "excludes": ["*.bin"]}

    assert read_yaml(tmp_path, json.dumps(value)) == read(tmp_path, value)
    assert read(tmp_path, value) == RayEnvironment(
        env={"A": "1"}, excludes=("**/*.bin",), passed={"config": {"setup_timeout_seconds": 60}}
    )


def test_a_local_working_dir_becomes_the_project_and_a_root_without_a_warning(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "link").symlink_to("app")

    found = read_yaml(tmp_path, "env_vars: {}\nworking_dir: ./link\n")

    assert found.project == (tmp_path / "app").resolve()
    assert found.roots == (str(found.project),)
    assert found.warnings == ()


def test_excludes_are_read_as_gitignore_has_them(tmp_path: Path) -> None:
    written = ["*.bin", "/out", "data/raw/", "# a comment", "/", "cache/"]

    found = read(tmp_path, {"working_dir": ".", "excludes": written})

    assert found.excludes == ("**/*.bin", "out", "data/raw", "**/cache")
    assert read(tmp_path, {"working_dir": ".", "excludes": ["*.csv", "!keep.csv"]}).excludes == ()


def test_a_working_dir_of_a_file_in_another_directory_is_relative_to_the_current_one(tmp_path: Path) -> None:
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "env.yaml").write_text("working_dir: .\n")

    assert read_ray_environment("settings/env.yaml", None, None, tmp_path).project == tmp_path.resolve()


def test_the_option_comes_before_the_working_dir_of_the_runtime_env(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()

    found = read(tmp_path, {"working_dir": "s3://bucket/app.zip"}, "app")

    assert found.project == (tmp_path / "app").resolve()


@pytest.mark.parametrize(
    ("working_dir", "reason"),
    [
        ("s3://bucket/app.zip", "s3://bucket/app.zip is not a local path"),
        ("https://me:word@host/app.zip?sig=word", "https://host/app.zip is not a local path"),
        ("gcs://_ray_pkg_1.zip", "gcs://_ray_pkg_1.zip is not a local path"),
        ("local:///opt/app", "local:///opt/app is not a local path"),
        ("app.zip", "app.zip is an archive"),
        ("nowhere", "nowhere does not exist"),
        ("file.txt", "file.txt is not a directory"),
    ],
)
def test_a_working_dir_that_is_no_local_directory_is_refused(
    tmp_path: Path, working_dir: str, reason: str
) -> None:
    (tmp_path / "file.txt").touch()
    (tmp_path / "app.zip").touch()

    by_option = refusal(tmp_path, None, working_dir)
    by_key = refusal(tmp_path, {"working_dir": working_dir})

    assert by_option.startswith(f"--working-dir: `working_dir` {reason}")
    assert by_key.startswith(f"--runtime-env-json: `working_dir` {reason}")
    assert "word" not in by_option.replace("working", "")


def test_py_modules_give_the_directories_that_hold_them_in_order_before_the_working_dir(
    tmp_path: Path,
) -> None:
    for name in ("b/pkg", "a/pkg", "a/other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "single.py").touch()

    found = read(tmp_path, {"py_modules": ["b/pkg", "a/pkg/", "./a/other", "single.py"], "working_dir": "a"})

    base = tmp_path.resolve()
    assert found.roots == (str(base / "b"), str(base / "a"), str(base))
    assert len(found.warnings) == 1
    assert "of `py_modules`, the bundle has only files that the driver's" in found.warnings[0].text
    assert "--include" in str(found.warnings[0].hint)


def test_a_linked_package_keeps_the_name_of_the_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "libs").mkdir()
    (tmp_path / "libs" / "pkg").symlink_to(tmp_path / "real")

    assert read(tmp_path, {"py_modules": ["libs/pkg"]}).roots == (str(tmp_path.resolve() / "libs"),)
    assert read(tmp_path / "libs", {"py_modules": [".."]}).roots == (str(tmp_path.resolve().parent),)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        ("dist/lib-1.0-py3-none-any.whl", "dist/lib-1.0-py3-none-any.whl is a wheel"),
        (
            "https://host/lib-1.0-py3-none-any.whl?sig=word",
            "https://host/lib-1.0-py3-none-any.whl is a wheel",
        ),
        ("s3://bucket/pkg.zip", "s3://bucket/pkg.zip is not a local path"),
        ("nowhere", "nowhere does not exist"),
        ("data.txt", "data.txt is neither a directory nor a .py file"),
        (3, "must hold paths, and holds a number"),
    ],
)
def test_py_modules_that_are_no_code_here_are_refused_by_name(
    tmp_path: Path, module: object, reason: str
) -> None:
    (tmp_path / "data.txt").touch()

    assert f"`py_modules` {reason}" in refusal(tmp_path, {"py_modules": [module]})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("A: 1", "`env_vars.A` must be text, and is a number"),
        ("A: yes", "`env_vars.A` must be text, and is true or false"),
        ("A:", "`env_vars.A` must be text, and is null"),
        ("A: 2026-01-01", "`env_vars.A` must be text, and is date"),
        ("on: x", "`env_vars.True` has a name that is not text"),
        ("PYTHONPATH: /x", "`env_vars.PYTHONPATH` is set by the bundle"),
        ("RAYBUNDLE_BOOT: x", "`env_vars.RAYBUNDLE_BOOT` is set by the bundle"),
    ],
)
def test_environment_variables_are_text_and_not_the_bundles(tmp_path: Path, text: str, reason: str) -> None:
    assert yaml_refusal(tmp_path, f"env_vars:\n  {text}\n").startswith(f"--runtime-env env.yaml:1: {reason}")


def test_a_value_of_the_wrong_type_is_not_shown(tmp_path: Path) -> None:
    assert "424242" not in refusal(tmp_path, {"env_vars": {"PASSWORD": 424242}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pip", ["requests==2.32.0"]),
        ("pip", {"packages": ["requests"], "pip_check": True}),
        ("uv", {"packages": ["requests"], "uv_version": "==0.9.0"}),
        ("conda", "ml"),
        ("conda", {"dependencies": ["python=3.11"]}),
    ],
)
def test_what_ray_sets_up_is_passed_with_a_warning(tmp_path: Path, key: str, value: Any) -> None:
    found = read(tmp_path, {key: value})

    assert found.passed == {key: value}
    assert len(found.warnings) == 1
    assert f"Ray sets up `{key}` on each node" in found.warnings[0].text
    assert "the job can import what Ray installs" in str(found.warnings[0].hint)


def test_files_of_requirements_are_read_here_because_the_cluster_has_none(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("\nrequests==2.32.0\nsix\n\n")
    (tmp_path / "conda.yml").write_text("dependencies: [pip]\n")
    lines = ["requests==2.32.0", "six"]

    assert read(tmp_path, {"pip": "requirements.txt"}).passed == {"pip": lines}
    assert read(tmp_path, {"uv": "requirements.txt"}).passed == {"uv": lines}
    assert read(tmp_path, {"pip": {"packages": "requirements.txt", "pip_check": True}}).passed == {
        "pip": {"packages": lines, "pip_check": True}
    }
    assert read(tmp_path, {"conda": "conda.yml"}).passed == {"conda": {"dependencies": ["pip"]}}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"pip": "nowhere.txt"}, "`pip` nowhere.txt: cannot read it: No such file or directory"),
        ({"conda": "nowhere.yaml"}, "`conda` nowhere.yaml: cannot read it: No such file or directory"),
        ({"conda": "bad.yaml"}, "`conda` bad.yaml:1: not YAML: "),
        ({"pip": [1]}, "`pip` has no list of requirements"),
        ({"uv": {"uv_check": True}}, "`uv` has no list of requirements"),
        ({"conda": ["ml"]}, "`conda` is a list"),
        ({"config": 600}, "`config` must be a mapping, and is a number"),
        ({"pip": ["a"], "uv": ["a"]}, "`uv` conflicts with `pip`: Ray accepts one of them"),
        ({"env_vars": "A=1"}, "`env_vars` must be a mapping, and is text"),
        ({"py_modules": "pkg"}, "`py_modules` must be a list, and is text"),
        ({"working_dir": 1}, "`working_dir` must be text, and is a number"),
        ({HOOK: "configure"}, f"`{HOOK}` is not the name of a function"),
        ({HOOK: ["pkg.configure"]}, f"`{HOOK}` is not the name of a function"),
    ],
)
def test_what_ray_would_not_take_is_refused_here(tmp_path: Path, value: object, reason: str) -> None:
    (tmp_path / "bad.yaml").write_text("a: [")

    assert refusal(tmp_path, value).startswith(f"--runtime-env-json: {reason}")


def test_what_json_cannot_carry_is_refused(tmp_path: Path) -> None:
    assert "`conda` holds a value that JSON cannot represent" in yaml_refusal(
        tmp_path, "conda: {since: 2026-01-01}"
    )


def test_settings_of_ray_and_its_profilers_are_passed_silently(tmp_path: Path) -> None:
    value = {
        "config": {"setup_timeout_seconds": 60, "eager_install": False},
        "nsight": "default",
        "_nsight": {"t": "cuda"},
        "rocprof_sys": "default",
        "_rocprof_sys": {"args": {}},
    }

    assert read(tmp_path, value) == RayEnvironment(passed=value)


def test_the_hook_of_workers_is_passed_by_its_name(tmp_path: Path) -> None:
    assert read(tmp_path, {HOOK: "pkg.setup.configure"}).passed == {HOOK: "pkg.setup.configure"}


@pytest.mark.parametrize("key", REFUSED)
def test_keys_that_a_bundle_cannot_carry_out_are_refused_with_the_reason(tmp_path: Path, key: str) -> None:
    assert f"`{key}` is refused: {REFUSED[key][0]}" in refusal(tmp_path, {key: "x"})


def test_a_misspelt_key_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    assert "`enviroment` is not a key" in refusal(tmp_path, {"enviroment": 1})
    assert "hint: did you mean `env_vars`?" in refusal(tmp_path, {"env_var": {}})
    assert "hint: known are: _nsight, _rocprof_sys, conda, config, env_vars" in refusal(tmp_path, {"zzz": 1})
    assert "`1` is not a key of a runtime_env" in yaml_refusal(tmp_path, "1: x")


def test_all_refusals_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = "mpi: {}\n\nenv_vars: {A: 1, B: 2}\nworking_dir: s3://b/x.zip\npips: [a]\nexcludes: []\n"

    lines = [
        line.partition(" must ")[0].partition(" is ")[0] for line in yaml_refusal(tmp_path, text).split("\n")
    ]

    assert [line for line in lines if not line.startswith("hint")] == [
        "--runtime-env env.yaml:1: `mpi`",
        "--runtime-env env.yaml:5: `pips`",
        "--runtime-env env.yaml:3: `env_vars.A`",
        "--runtime-env env.yaml:3: `env_vars.B`",
        "--runtime-env env.yaml:4: `working_dir` s3://b/x.zip",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pip: [a\nconda: b", r"--runtime-env env.yaml:2: not YAML: expected ',' or ']'"),
        ("a: !!python/object/apply:os.getcwd []", "--runtime-env env.yaml:1: not YAML: could not determine"),
        ("a: \x07", "--runtime-env env.yaml: not YAML: unacceptable character"),
        ("a: 2026-99-99", "--runtime-env env.yaml: not YAML: month must be in 1..12"),
        ("- pip", "--runtime-env env.yaml: a runtime_env is a mapping, and this is a list"),
        ("pip", "--runtime-env env.yaml: a runtime_env is a mapping, and this is text"),
    ],
)
def test_a_file_that_is_no_runtime_env_is_named_with_the_line(tmp_path: Path, text: str, reason: str) -> None:
    assert yaml_refusal(tmp_path, text).startswith(reason)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9")

    with pytest.raises(UsageError, match=r"^--runtime-env none.yaml: cannot read it: No such file"):
        read_ray_environment("none.yaml", None, None, tmp_path)
    with pytest.raises(UsageError, match=r"^--runtime-env latin.yaml: not YAML: 'utf-8' codec"):
        read_ray_environment("latin.yaml", None, None, tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"env_vars": {"PASSWORD": "word"}', "not JSON: Expecting ',' delimiter at line 1, column 34"),
        ("env.yaml", "not JSON: Expecting value at line 1, column 1"),
        ("[]", "a runtime_env is a mapping, and this is a list"),
    ],
)
def test_json_that_is_no_runtime_env_is_refused_without_its_text(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read_ray_environment(None, text, None, tmp_path)

    assert str(caught.value) == f"--runtime-env-json: {reason}"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"pip": ["pyjokes==0.8.3", "Absent_A[x]>=1; python_version > '3'", "-r other.txt"]},
            ("absent-a", "pyjokes"),
        ),
        ({"pip": "requirements.txt"}, ("pyjokes", "six")),
        (
            {"uv": {"packages": ["pyjokes @ https://h/pyjokes.whl", "# six", "six.two~=1"]}},
            ("pyjokes", "six-two"),
        ),
        (
            {"pip": ["/w/extra_pkg-1.0-py3-none-any.whl", "https://h/w/other-2-py3-none-any.whl"]},
            ("extra-pkg", "other"),
        ),
        (
            {"conda": {"dependencies": ["python=3.11", "numpy=2", {"pip": ["pyjokes"]}]}},
            ("numpy", "pyjokes", "python"),
        ),
        ({"conda": "an-environment"}, ()),
    ],
)
def test_what_ray_installs_is_known_by_name(
    tmp_path: Path, value: dict[str, object], expected: tuple[str, ...]
) -> None:
    (tmp_path / "requirements.txt").write_text("pyjokes==0.8.3  # jokes\n\nsix\n--pre\n")

    assert read(tmp_path, value).set_up == expected
