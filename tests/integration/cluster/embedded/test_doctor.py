"""`doctor` on the embedded cluster, and where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.another_python import find_python_312
from tests.support.installed import install
from tests.support.small_project import tree
from tests.support.wheels import elf, install_wheel, make_wheel
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded


@pytest.mark.ray
def test_a_healthy_cluster_runs_the_bundle(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")

    done = work.raybundle("doctor", "job.py")

    *lines, total = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(line.startswith("ok ") for line in lines), done.stdout
    assert {line.split()[1] for line in lines} >= {"store", "cluster", "python", "disk", "cache", "clock"}
    assert total == f"{len(lines)} checks ok"


@pytest.mark.ray
def test_what_the_nodes_lack_is_told_with_what_to_do(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    [site] = (tmp_path / "env").glob("lib/python*/site-packages")
    install(site, "no-such-thing-anywhere", {"no_such_thing_anywhere.py": b"print('THERE')\n"})
    tree(work.directory, {"job.py": "import no_such_thing_anywhere\n"})
    project = work.directory / "pyproject.toml"
    settings = f"{project.read_text()}\n[tool.raybundle]\npython = '{tmp_path}/env/bin/python'\n"
    project.write_text(f"{settings}cluster-provides = ['no-such-thing-anywhere']\n")

    named = work.raybundle("--json", "doctor", "job.py")
    built = work.raybundle("build", "--name", "lacking", "job.py")
    by_ref = work.raybundle("--json", "doctor", "lacking@1")
    project.write_text(settings)
    mended = work.raybundle("submit", "--check", "job.py")

    assert built.returncode == 0, built.stderr
    for done in (named, by_ref):
        assert done.returncode == 1, done.stderr
        [failed] = [each for each in json.loads(done.stdout)["checks"] if each["state"] == "failed"]
        assert (failed["check"], failed["found"]) == (
            "provided",
            "no-such-thing-anywhere 1.0: not installed",
        )
        assert failed["remedy"] == (
            "`pip install no-such-thing-anywhere==1.0` there, or take them out of `cluster-provides`"
        )
    assert (mended.returncode, "THERE" in mended.stdout) == (0, True), mended.stderr


@pytest.mark.ray
def test_a_cluster_that_does_not_answer_is_the_finding(embedded: Embedded, tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")

    done = work.raybundle("--address", "http://127.0.0.1:9", "doctor")
    absent = work.raybundle("doctor", env={"RAYBUNDLE_LOCAL_STATE": str(tmp_path / "none")})
    mended = work.raybundle("--address", embedded.address, "doctor", env=embedded.token)

    assert done.returncode == 1
    assert "failed   cluster  http://127.0.0.1:9  cannot reach the cluster" in done.stdout
    assert "next: check that the address is the dashboard's" in done.stdout
    assert absent.returncode == 0
    assert "not running; `raybundle submit` starts it with" in absent.stdout
    assert mended.returncode == 0, mended.stdout


def test_a_store_that_cannot_be_used_is_the_finding(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "plain")
    (tmp_path / "file").write_text("no directory\n")
    variable, nowhere = {"RAYBUNDLE_STORE": str(tmp_path / "file")}, ("--address", "http://127.0.0.1:9")

    done = work.raybundle(*nowhere, "doctor", env=variable)
    shown = work.raybundle("config", "show", env=variable)
    mended = work.raybundle(*nowhere, "--store", str(tmp_path / "other"), "doctor", env=variable)

    assert done.returncode == 1
    assert done.stdout.startswith("failed   store    this machine")
    assert "next: `raybundle config show` says which store is used" in done.stdout
    [source] = [line for line in shown.stdout.splitlines() if line.startswith("store ")]
    assert str(tmp_path / "file") in source
    assert "RAYBUNDLE_STORE" in source
    assert mended.stdout.startswith("ok       store    this machine")


@pytest.mark.ray
def test_who_watches_sees_the_fault_until_it_is_mended(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", "plain", RAYBUNDLE_STORE=str(tmp_path / "store"))
    (tmp_path / "store").write_text("no directory\n")

    with work.started("doctor", "--watch") as running:
        running.wait_for("1 check failed")
        (tmp_path / "store").unlink()
        code, stdout, _ = running.end()

    assert code == 0
    *_, last = stdout.decode().splitlines()
    assert last.endswith(" checks ok")
    assert "failed" not in last


@pytest.mark.ray
def test_a_failure_that_ray_repeats_is_named_and_a_submission_checks_first(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")
    conda = '{"conda": "no-such-environment"}'

    failed = work.raybundle("submit", "--runtime-env-json", conda, "job.py")
    examined = work.raybundle("--json", "doctor", "job.py")
    checked = [work.raybundle("submit", "--check", "job.py") for _ in range(2)]
    again = work.raybundle("local", "up", "--num-cpus", "1")

    assert (failed.returncode, examined.returncode) == (22, 0)
    [finding] = [one for one in json.loads(examined.stdout)["checks"] if one["state"] != "ok"]
    assert (finding["check"], finding["state"]) == ("environment", "warning")
    assert "a runtime_env with bundle sha256:" in finding["found"]
    assert "conda" in finding["found"].rpartition("could not be made: ")[2]
    for done in checked:
        assert done.returncode == 0, done.stderr
        assert "warning: environment of " in done.stderr
        assert "of the cluster found nothing that keeps the bundle from running" in done.stderr
    assert "another cluster is up, with " in again.stderr


@pytest.mark.ray
def test_a_bundle_for_another_python_is_built_as_the_next_command_says(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")

    named = work.raybundle("--json", "doctor", "--python", find_python_312(), "job.py")
    assert named.returncode == 1, named.stderr
    [failed] = [each for each in json.loads(named.stdout)["checks"] if each["state"] == "failed"]
    option, _, minor = failed["remedy"].partition("`")[2].partition("` builds")[0].partition(" ")
    mended = work.raybundle("submit", "--check", option, minor, "job.py")

    assert (failed["check"], option) == ("python", "--python")
    assert "the bundle is for cpython 3.12" in failed["found"]
    assert mended.returncode == 0, mended.stderr
    assert " SUCCEEDED in " in mended.stderr


@pytest.mark.ray
def test_a_bundle_for_another_platform_is_built_for_the_one_that_is_named(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    for machine, number in (("aarch64", 183), ("x86_64", 62)):
        files = {"thing/__init__.py": b"print('THERE')\n", "thing/fast.so": elf(number, "GLIBC_2.17")}
        full = f"{tag}-{tag}-manylinux_2_17_{machine}"
        wheel = make_wheel(tmp_path / "links", "thing-1.0", full, files=files)
    [site] = (tmp_path / "env").glob("lib/python*/site-packages")
    install_wheel(site, wheel)
    tree(work.directory, {"job.py": "import thing\n"})
    index = {"UV_OFFLINE": "1", "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(tmp_path / "links")}
    settings = (
        f"[tool.raybundle]\npython = '{tmp_path}/env/bin/python'\nplatform = 'aarch64-manylinux_2_17'\n"
    )
    (work.directory / "pyproject.toml").write_text(settings)

    named = work.raybundle("--json", "doctor", "job.py", env=index)
    assert named.stdout, named.stderr
    [failed] = [each for each in json.loads(named.stdout)["checks"] if each["state"] == "failed"]
    option, value = failed["remedy"].split("`")[1].split()
    mended = work.raybundle("submit", "--check", option, value, "job.py", env=index)

    assert (failed["check"], option) == ("python", "--platform")
    assert "the bundle is for" in failed["found"]
    assert (mended.returncode, "THERE" in mended.stdout) == (0, True), mended.stderr
