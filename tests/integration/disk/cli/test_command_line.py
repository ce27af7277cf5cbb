"""The command line without a cluster: documents, errors, and the exit codes 0 to 5."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.s3_server import S3Server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_plan_names_what_would_travel_and_uploads_nothing(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")

    done = work.raybundle("--json", "plan", "job.py")

    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert set(plan) >= {
        *("schema_version", "bundle", "target", "sys_path", "modules", "files", "distributions"),
        *("missing", "absent", "warnings"),
    }
    assert [module["name"] for module in plan["modules"]] == ["__main__", "pkg", "pkg.data"]
    assert set(plan["modules"][0]) == {"name", "file", "root", "kind", "found_by", "bytes"}
    assert [file["path"] for file in plan["files"]] == [
        "project/job.py",
        "project/pkg/__init__.py",
        "project/pkg/data.py",
        "project/pkg/words.txt",
    ]
    assert not any((tmp_path / "work-home").rglob("store"))


def test_build_prints_the_digest_alone_that_plan_has_named(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    planned = json.loads(work.raybundle("--json", "plan", "job.py").stdout)["bundle"]

    done = work.raybundle("build", "job.py")

    assert done.stdout == f"{planned}\n"
    built = json.loads(work.raybundle("--json", "build", "job.py").stdout)
    assert set(built) >= {"bundle", "store", "files", "bytes", "uploaded_bytes", "timings", "warnings"}
    assert (built["bundle"], built["uploaded_bytes"]) == (planned, 0)


def test_show_finds_a_bundle_by_a_part_of_its_digest_and_by_name(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    digest = work.build("--name", "words", "job.py")

    by_part = json.loads(work.raybundle("--json", "show", digest[7:15]).stdout)
    by_name = json.loads(work.raybundle("--json", "show", "words").stdout)

    assert by_part["bundle"] == by_name["bundle"] == digest
    assert by_part["manifest"]["target"] == {"script": "project/job.py"}


def test_config_show_has_no_credentials(tmp_path: Path) -> None:
    work = make_workplace(
        tmp_path / "work",
        RAYBUNDLE_ADDRESS="http://user:hunter2@host:1",
        RAYBUNDLE_STORE="s3://key:hunter2@bucket/x",
        RAYBUNDLE_ENV="API_TOKEN=hunter2hunter2,LEVEL=info",
    )

    shown = work.raybundle("config", "show").stdout + work.raybundle("--json", "config", "show").stdout

    assert "hunter2" not in shown
    assert "http://host:1" in shown
    assert "s3://bucket/x" in shown
    assert "LEVEL=info" in shown


def test_why_shows_the_chain_of_imports_with_file_and_line(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "chain")

    chain = work.raybundle("why", "job.py", "pkg.second")
    never = work.raybundle("why", "job.py", "pkg.never")

    assert [line.rsplit("/", 1)[1] for line in chain.stdout.splitlines()] == [
        "job.py:1: __main__ imports pkg.first (static)",
        "first.py:1: pkg.first imports pkg.second (static)",
    ]
    assert never.returncode == 3
    assert "pkg.never" in never.stdout


def test_a_looping_link_and_a_pipe_beside_a_module_hide_nothing(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    expected = json.loads(work.raybundle("--json", "plan", "job.py").stdout)
    (work.directory / "pkg" / "loop").symlink_to("loop")
    (work.directory / "pkg" / "dangling.py").symlink_to("nowhere.py")
    os.mkfifo(work.directory / "pkg" / "pipe")

    found = json.loads(work.raybundle("--json", "plan", "job.py").stdout)

    assert found["modules"] == expected["modules"]
    assert found["bundle"] == expected["bundle"]


def test_missing_imports_are_one_error_with_all_places(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "broken")

    done = work.raybundle("plan", "job.py")

    assert done.returncode == 3
    assert "`gone" in done.stderr
    assert "job.py:1" in done.stderr
    assert "`absent`" in done.stderr
    assert "job.py:3" in done.stderr
    assert "optional_one" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["submit", "no-such.py"], "no-such.py"),
        (["submit"], "no target"),
        (["submit", "--", "bash", "-c", "true"], "`true` is a program of this machine"),
        (["build", "job.py", "--name", "late"], "--name"),
        (["submit", "--env", "NOVALUE", "job.py"], "NOVALUE"),
        (["submit", "--submission-id", "a b", "job.py"], "a b"),
        (["--address", "ray://head:10001", "list"], "ray://head:10001"),
        (["--profile", "none", "plan", "job.py"], "none"),
        (["plan", "--python", "no-such-python", "job.py"], "no-such-python"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_a_command_line_that_cannot_be_carried_out_exits_with_2(
    tmp_path: Path, words: list[str], names: str
) -> None:
    work = make_workplace(tmp_path / "work", "plain")

    done = work.raybundle(*words)

    assert done.returncode == 2, done.stderr
    assert names in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_is_an_error_that_suggests_the_nearest(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    with (work.directory / "pyproject.toml").open("a") as stream:
        stream.write("\n[tool.raybundle]\nroot = ['src']\n")

    done = work.raybundle("plan", "job.py")

    assert done.returncode == 2
    assert "`root`" in done.stderr
    assert "did you mean `roots`?" in done.stderr


def test_config_show_says_where_each_value_comes_from(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain", RAYBUNDLE_STORE="/from/environment")
    with (work.directory / "pyproject.toml").open("a") as stream:
        stream.write("\n[tool.raybundle]\nstore = '/from/project'\nenv = {A = '1'}\n")
        stream.write("[tool.raybundle.profiles.ci]\naddress = 'http://profile:8265'\n")

    done = work.raybundle("--json", "--profile", "ci", "config", "show")

    settings = json.loads(done.stdout)["settings"]
    assert settings["store"] == {"value": "/from/environment", "source": "RAYBUNDLE_STORE"}
    assert settings["address"] == {"value": "http://profile:8265", "source": "profile ci"}
    assert settings["env"]["value"] == {"A": "1"}
    assert settings["python"]["source"] == "default"


def test_a_flag_beats_the_environment_and_that_beats_rays_own_variable(tmp_path: Path) -> None:
    ray, ours = "http://ray:1", "http://ours:1"
    work = make_workplace(tmp_path / "work", RAY_ADDRESS=ray)
    cases: list[tuple[list[str], dict[str, str]]] = [
        ([], {}),
        ([], {"RAYBUNDLE_ADDRESS": ours}),
        (["--address", "http://flag:1"], {"RAYBUNDLE_ADDRESS": ours}),
    ]

    addresses = [
        json.loads(work.raybundle("--json", *flags, "config", "show", env=env).stdout)["settings"]["address"]
        for flags, env in cases
    ]

    assert [address["value"] for address in addresses] == [ray, ours, "http://flag:1"]


def test_wrong_s3_credentials_exit_with_4_and_show_no_secret(tmp_path: Path, s3: S3Server) -> None:
    work = make_workplace(
        tmp_path / "work",
        "plain",
        **{**s3.environ, "AWS_SECRET_ACCESS_KEY": "not-the-secret-at-all"},
        RAYBUNDLE_STORE=s3.prefix(),
    )

    done = work.raybundle("build", "job.py")

    assert done.returncode == 4, done.stderr
    assert "not-the-secret-at-all" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_bucket_that_is_not_there_exits_with_4(tmp_path: Path, s3: S3Server) -> None:
    work = make_workplace(
        tmp_path / "work", "plain", **s3.environ, RAYBUNDLE_STORE="s3://no-such-bucket/prefix"
    )

    done = work.raybundle("build", "job.py")

    assert done.returncode == 4, done.stderr
    assert "no-such-bucket" in done.stderr


@pytest.mark.slow
def test_a_dead_cluster_exits_with_5_and_the_bundle_is_kept(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    digest = work.build("job.py")
    address = f"http://127.0.0.1:{free_port()}"

    done = work.raybundle("--address", address, "submit", "job.py")

    assert done.returncode == 5, done.stderr
    assert address in done.stderr
    assert work.raybundle("show", digest).returncode == 0


def test_an_object_that_is_not_what_its_name_says_is_never_trusted(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    store = work.directory.parent / "store"
    digest = work.build("--store", str(store), "job.py")
    [archive] = store.glob("bundles/*/*.zip")
    data = bytearray(archive.read_bytes())
    data[50] ^= 1
    archive.chmod(0o600)
    archive.write_bytes(data)

    done = work.raybundle("--store", str(store), "build", "job.py")

    assert done.returncode == 3
    assert digest[7:] in done.stderr
    assert "expected sha256:" in done.stderr


def test_a_manifest_that_was_changed_is_refused(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    store = work.directory.parent / "store"
    digest = work.build("--store", str(store), "job.py")
    [manifest] = store.glob("bundles/*/manifest.json")
    manifest.chmod(0o600)
    manifest.write_bytes(manifest.read_bytes().replace(b"job.py", b"jab.py"))

    done = work.raybundle("--store", str(store), "show", digest)

    assert done.returncode == 3
    assert digest in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RAYBUNDLE_DEPENDENCIES", "layers"),
        ("RAYBUNDLE_CLUSTER_PROVIDES", "torch,numpy==2.0"),
    ],
)
def test_what_this_version_cannot_do_is_refused_and_not_ignored(
    tmp_path: Path, variable: str, value: str
) -> None:
    work = make_workplace(tmp_path / "work", "plain")

    done = work.raybundle("plan", "job.py", env={variable: value})

    assert done.returncode == 2
    assert variable in done.stderr


def test_an_interpreter_that_the_project_names_is_the_target(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")

    missing = work.raybundle("plan", "job.py", env={"RAYBUNDLE_PYTHON": str(tmp_path / "python")})

    assert missing.returncode == 2
    assert str(tmp_path / "python") in missing.stderr
