"""The whole way on the embedded cluster, with nothing configured: arguments, exit codes, jobs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.store.local import LocalStore
from raybundle.submission import relay
from raybundle.submission.packages import packages_of
from tests.support.layer_archives import bound, make_layer
from tests.support.workplace import Workplace, reports

if TYPE_CHECKING:
    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded

pytestmark = pytest.mark.ray

ARGUMENTS = [
    "two words",
    "$HOME",
    "`id`",
    "a;b",
    "it's",
    'say "so"',
    "",
    "line\nbreak",
    "tab\tand \\ back",
    "🦖 ünïcode",
    "--json",
    "-m",
    "--",
    "--store=elsewhere",
    "*",
    "~",
    "!!",
]
AWKWARD = "ein Ordner mit Lücken und 🦖"


def test_arguments_arrive_byte_for_byte(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")

    done = work.raybundle("submit", "job.py", *ARGUMENTS)

    assert done.returncode == 0, done.stderr
    [report] = reports(done.stdout)
    assert report["argv"] == ARGUMENTS


def test_a_target_and_a_project_with_spaces_and_non_ascii_names_work(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / AWKWARD, "plain")
    (work.directory / "job.py").rename(work.directory / "mein jöb.py")

    done = work.raybundle("submit", "mein jöb.py", "x")

    assert done.returncode == 0, done.stderr
    assert reports(done.stdout)[0]["argv"] == ["x"]


def test_the_working_directory_is_the_project_and_package_data_travels(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")

    done = work.raybundle("submit", "--", "python", "job.py")

    assert done.returncode == 0, done.stderr
    [report] = reports(done.stdout)
    assert report["data"] == ["one", "two"]
    assert {"job.py", "pkg"} <= set(report["cwd"])


def test_submit_json_is_one_document_and_a_second_submit_uploads_nothing(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")

    first, second = (json.loads(work.raybundle("--json", "submit", "job.py").stdout) for _ in range(2))

    assert first["uploaded_bytes"] > 0
    assert second["uploaded_bytes"] == 0
    assert first["bundle"] == second["bundle"]
    assert set(second) >= {
        "schema_version",
        "bundle",
        "submission_id",
        "status",
        "exit_code",
        "driver_exit_code",
        "address",
        "store",
        "files",
        "bytes",
        "uploaded_bytes",
        "timings",
        "warnings",
    }
    assert set(second["timings"]) == {"resolve", "build", "upload", "submit", "queue", "run"}
    assert (second["status"], second["exit_code"], second["driver_exit_code"]) == ("SUCCEEDED", 0, 0)


def start(work: Workplace, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "raybundle", *words],
        cwd=work.directory,
        env=dict(work.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for_line(job: subprocess.Popen[str], text: str) -> None:
    assert job.stdout is not None
    for line in job.stdout:
        if text in line:
            return
    raise AssertionError(f"{text} was never printed")


def test_jobs_can_be_listed_asked_and_read_without_waiting(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")
    name = f"asked-{tmp_path.name}"

    accepted = work.raybundle("submit", "--no-wait", "--submission-id", name, "job.py", "later")

    assert accepted.stdout == f"{name}\n"
    followed = work.raybundle("logs", "-f", name)
    assert reports(followed.stdout)[0]["argv"] == ["later"]
    assert reports(work.raybundle("logs", name).stdout) == reports(followed.stdout)
    assert work.raybundle("status", name).stdout == "SUCCEEDED\n"
    listed = json.loads(work.raybundle("--json", "list").stdout)["jobs"]
    assert name in {job["submission_id"] for job in listed}


def test_a_run_repeats_a_named_bundle_with_other_arguments(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")
    named = work.raybundle("build", "--name", "words", "job.py")
    shutil.rmtree(work.directory)
    work.directory.mkdir()

    done = work.raybundle("--json", "run", "words@1", "--store", "not ours")

    assert json.loads(done.stdout)["bundle"] == named.stdout.strip()
    assert reports(done.stderr)[0]["argv"] == ["--store", "not ours"]


def test_twenty_parallel_submits_make_one_archive(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")

    with ThreadPoolExecutor(20) as pool:
        done = list(pool.map(lambda n: work.raybundle("--json", "submit", "job.py", str(n)), range(20)))

    assert [one.returncode for one in done] == [0] * 20, "".join(one.stderr[-500:] for one in done)
    store = Path(json.loads(done[0].stdout)["store"].removeprefix("file://"))
    assert len(list(store.glob("bundles/*/*.zip"))) == 1
    assert [reports(one.stderr)[0]["argv"] for one in done] == [[str(n)] for n in range(20)]


def test_the_library_submits_waits_and_raises_what_the_exit_codes_say(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", "exits")
    script = (
        "import raybundle\n"
        "job = raybundle.submit('job.py', ['code', '3'])\n"
        "try:\n"
        "    job.wait()\n"
        "except raybundle.errors.JobFailedError as error:\n"
        "    print(error.exit_code, job.status().driver_exit_code)\n"
    )

    done = work.command([sys.executable, "-c", "import raybundle.errors\n" + script])

    assert done.stdout == "20 3\n", done.stderr


def test_a_reader_that_leaves_does_not_change_how_the_job_ended(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work", "exits")
    with start(work, "submit", "job.py", "code", "5") as job:
        assert job.stdout is not None
        job.stdout.close()

        assert job.wait(60) == 20


def test_a_log_that_is_no_text_does_not_hide_how_the_job_ended(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")
    (work.directory / "job.py").write_text("import sys; sys.stdout.buffer.write(b'\\xff\\n')\n")

    done = work.raybundle("--json", "submit", "job.py")

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "SUCCEEDED"
    assert b"\n\xff\n" in os.fsencode(done.stderr)


def test_an_argument_that_is_no_text_is_refused_before_anything_is_sent(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", "plain")

    done = work.raybundle("submit", "job.py", os.fsdecode(b"\xff"))

    assert done.returncode == 2
    assert "not UTF-8" in done.stderr


def test_a_store_that_fails_after_the_end_does_not_hide_how_the_job_ended(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work", "exits")
    store = tmp_path / "store"
    words = ("--json", "--store", str(store), "submit", "job.py", "sleep", "4")
    with start(work, *words) as job:
        while not list(store.glob("events/*/*/*/running.json")):
            time.sleep(0.05)
        shutil.rmtree(store / "events")
        (store / "events").touch()
        assert job.stdout is not None
        document = json.loads(job.stdout.read())

        assert job.wait(60) == 0
    assert document["status"] == "SUCCEEDED"


def test_an_unknown_job_is_an_error_that_names_it(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")

    done = work.raybundle("status", "no-such-job")

    assert done.returncode == 1
    assert "no-such-job" in done.stderr
    assert work.raybundle("logs", "no-such-job").returncode == 23


def test_local_status_knows_the_cluster_and_its_processes(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "work")

    status = json.loads(work.raybundle("--json", "local", "status").stdout)

    assert status["running"] is True
    assert status["address"] == embedded.address
    assert all(os.getpgid(pid) for pid in status["pids"])


def test_a_job_writes_to_its_working_directory_and_never_imports_from_it(
    embedded: Embedded, tmp_path: Path
) -> None:
    work = embedded.workplace(tmp_path / "work")
    (work.directory / "helper.py").write_text("X = 'verified'\n")
    (work.directory / "job.py").write_text(
        "import os, subprocess, sys\n"
        "open('helper.py', 'w').write('X = 1/0')\n"
        "open('written.py', 'w').write('X = 1')\n"
        "import helper\n"
        "print('HELPER', helper.X, os.path.exists('written.py'))\n"
        "sys.path.insert(0, os.getcwd())\n"
        "try:\n"
        "    __import__('written')  # raybundle: ignore\n"
        "except ModuleNotFoundError as error:\n"
        "    print('NOT', error.name)\n"
    )

    done = work.raybundle("submit", "job.py", str(time.time_ns()))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "HELPER verified True" in done.stdout
    assert "NOT written" in done.stdout


def test_what_is_relayed_arrives_in_whole_and_in_parts(
    client: JobsClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "packages_of", lambda key, archive: packages_of(key, archive, 50_000))
    store = LocalStore(tmp_path / "store")
    layers = [make_layer("big", {"data.bin": os.urandom(80_000)}), make_layer("small", {"s.py": b""})]
    for _, key, archive in layers:
        store.put_new(key, archive)
    (_, big, _), (_, small, _) = layers

    urls = relay.Relay(client, store, None).send_layers([bound(key, archive) for _, key, archive in layers])

    modules = [url for key in (big, small) for url in urls[key]]
    shown = "echo $PYTHONPATH | tr : '\\n' | while read d; do ls $d; done"
    name = f"parts-{tmp_path.name}"
    client.submit(name, {"entrypoint": shown, "runtime_env": {"py_modules": modules}})
    while not client.info(name).ended:
        time.sleep(0.1)
    stem, other = big[7:-4], small[7:-4]
    expected = [f"{stem}.json", f"{stem}.zip.000", f"{stem}.json", f"{stem}.zip.001"]
    lines = client.logs(name).splitlines()
    assert [line for line in lines if line.startswith((stem, other))] == [
        *expected,
        f"{other}.json",
        f"{other}.zip",
    ]
