"""How a job ended, in words: from what the cluster says and the end of its log."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.jobs import JobInfo
from raybundle.cluster.left.distributions import hint_of_left_distribution
from raybundle.cluster.left.files import hint_of_left_file
from raybundle.cluster.outcome import job_error
from raybundle.errors import JobFailedError, JobStartError, JobStoppedError
from tests.support.installed import install

if TYPE_CHECKING:
    from pathlib import Path

FAILED = JobInfo("x", "FAILED", "", "Driver failed", 1, None, 1, 2, {}, "http://10.0.0.7:52365", "id")
TREE = "/tmp/raybundle-0/trees/" + "ab" * 32
RAISED = f"""before
Traceback (most recent call last):
  File "{TREE}/project/jobs/train.py", line 7, in <module>
    main()
  File "{TREE}/root-1/lib/data.py", line 31, in load
    raise ValueError("no rows")
ValueError: no rows
after
"""
OUT_OF_MEMORY = """Traceback (most recent call last):
  File "/x/ray/_private/worker.py", line 1, in get
    raise value
ray.exceptions.OutOfMemoryError: Task was killed due to the node running low on memory.
Memory on the node (IP: 10.0.0.9) was 15.2GB / 16.0GB
"""
CONDA = """runtime_env setup failed: Failed to set up runtime environment.
[Node 10.0.0.8] Traceback (most recent call last):
  File "/x/agent.py", line 561, in _create
    await asyncio.wait_for(
          ^^^^^^^^^^^^^^^^
ValueError: The given conda environment 'none' was not found.
"""


@pytest.mark.parametrize(
    ("code", "log", "said"),
    [
        (7, "", "its driver ended with exit code 7"),
        (-9, "", "its driver was ended by signal SIGKILL, perhaps because its node ran out of memory"),
        (-15, "", "its driver was ended by signal SIGTERM"),
        (139, "", "its driver was ended by signal SIGSEGV"),
        (-64, "", "its driver was ended by signal SIGRTMAX"),
        (-99, "", "its driver was ended by signal 99"),
        (1, RAISED, "exit code 1: ValueError: no rows at root-1/lib/data.py:31"),
        (1, OUT_OF_MEMORY, "; Ray killed a task because its node ran out of memory"),
    ],
)
def test_a_failed_driver_is_told_by_its_end_and_its_last_exception(code: int, log: str, said: str) -> None:
    error = job_error(replace(FAILED, driver_exit_code=code), log)

    assert isinstance(error, JobFailedError)
    assert said in str(error)


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        ("Python cpython 3.11, found cpython 3.12", "`--python 3.12` builds for it"),
        (
            "glibc 2.39 or newer, found glibc 2.35 on aarch64",
            "`--platform aarch64-manylinux_2_35` builds for it",
        ),
        (
            "glibc 2.39 or newer, found glibc 2.35-2022.02 on x86_64",
            "`--platform x86_64-manylinux_2_35` builds for it",
        ),
        ("sha256 ab, found sha256 cd", None),
    ],
)
def test_a_boot_on_another_python_says_how_to_build_for_it(fault: str, hint: str | None) -> None:
    line = f"raybundle: boot failed: bundle sha256:ab: node n1: file /usr/bin/python: expected {fault}"
    error = job_error(replace(FAILED, message=f"Driver failed. Last log lines:\n{line}\n"))

    assert isinstance(error, JobStartError)
    assert (str(error), error.hint) == (line, hint)


def test_a_runtime_environment_that_failed_names_type_node_and_cause_and_no_frames() -> None:
    info = replace(
        FAILED, message=CONDA, driver_exit_code=None, error_type="RUNTIME_ENV_SETUP_FAILURE", node=None
    )

    error = job_error(info)

    assert isinstance(error, JobStartError)
    assert "could not start on node 10.0.0.8 (RUNTIME_ENV_SETUP_FAILURE)" in str(error)
    assert "conda environment 'none' was not found" in str(error)
    assert "agent.py" not in str(error)
    assert "^^^" not in str(error)


def test_a_job_without_a_node_never_ran_its_driver() -> None:
    assert isinstance(job_error(replace(FAILED, driver_exit_code=None, node=None)), JobStartError)


def test_a_stopped_job_was_stopped_and_one_that_succeeded_has_no_error() -> None:
    assert isinstance(job_error(replace(FAILED, status="STOPPED")), JobStoppedError)
    assert job_error(replace(FAILED, status="SUCCEEDED")) is None


@pytest.mark.parametrize(
    ("missed", "start", "named"),
    [
        ("data/d.csv", "", "data/d.csv"),
        ("d.csv", "data", "data/d.csv"),
        ("data/d.csv", "jobs", "data/d.csv"),
        (f"{TREE}/project/data/d.csv", "", "data/d.csv"),
        ("/tmp/raybundle-0/jobs/x-1/data/d.csv", "", "data/d.csv"),
        ("data", "", "data"),
        ("../data/d.csv", "", None),
        ("/elsewhere/data/d.csv", "", None),
        ("data/other.csv", "", None),
        ("there.csv", "", None),
        (".env", "", ".env"),
        ("nothing", "", "nothing"),
    ],
)
def test_a_missed_file_is_looked_for_in_the_project(
    tmp_path: Path, missed: str, start: str, named: str | None
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "nothing").mkdir()
    for name in ("data/d.csv", "there.csv", ".env"):
        (tmp_path / name).touch()
    text = f"FileNotFoundError: [Errno 2] No such file or directory: {missed!r}\n"
    log = f"Traceback (most recent call last):\n{text}"

    hint = hint_of_left_file(log, tmp_path, start, {"there.csv"})

    assert (hint and hint.partition("`")[2].partition("`")[0]) == named


FAILED_CHILD = """{}
Traceback (most recent call last):
  File "job.py", line 2, in <module>
    subprocess.run(WORDS, check=True)
subprocess.CalledProcessError: Command '['x']' returned non-zero exit status 1."""
HYDRA = """In 'config': Could not find 'db/pg'

Available options in 'db':
	mysql
Config search path:
	provider=hydra, path=pkg://hydra.conf
	provider=main, path=file:///tmp/raybundle-0/trees/ab/project/conf"""


OF_ARROW = (
    "FileNotFoundError: [Errno 2] Failed to open local file '/x/raybundle-1/jobs/c/data/d.csv'. Detail: 2"
)
OF_A_TASK = """ray.exceptions.RayTaskError(FileNotFoundError): \x1b[36mray::f()\x1b[39m (pid=1)
  File "x"
FileNotFoundError: [Errno 2] No such file or directory: 'data/d.csv'"""
WORDINGS = (
    "FileNotFoundError: data/d.csv not found.",
    "FileNotFoundError: No such file or directory (os error 2): data/d.csv",
    'FileNotFoundError: No such file or directory: "data/d.csv"',
    "NotADirectoryError: [Errno 20] Not a directory: 'data/d.csv'",
    "IsADirectoryError: [Errno 21] Is a directory: 'data/d.csv'",
    '_duckdb.IOException: IO Error: No files found that match the pattern "data/d.csv"',
    "FileNotFoundError: [Errno 2] Unable to open file (name = 'data/d.csv', errno = 2)",
    "NoSuchFile: [ONNX] : 3 : NO_SUCHFILE : Load model data/d.csv failed. It doesn't exist",
    "ValueError: The provided filename data/d.csv does not exist",
    "OSError: data/d.csv: cannot open shared object file: No such file or directory",
    "jinja2.exceptions.TemplateNotFound: d.csv",
    "jinja2.exceptions.TemplateNotFound: data/d.csv",
    OF_ARROW,
    OF_A_TASK,
)
OF_CHILDREN = (
    "cat: data/d.csv: No such file or directory",
    "sh: 1: cannot open data/d.csv: No such file",
    "bash: line 3: data/d.csv: No such file or directory",
    "awk: fatal: cannot open source file `data/d.csv' for reading",
    "make: *** No rule to make target 'data/d.csv', needed by 'x'.  Stop.",
    "python: can't open file '/x/raybundle-1/trees/ab/project/data/d.csv': [Errno 2]",
    "error: unable to read `data/d.csv`",
)
NOT_OF_FILES = (
    "KeyError: 'data/d.csv'",
    "ValueError: could not convert 'data/d.csv'",
    "FileNotFoundError: [Errno 2] No such file or directory: 'csv'",
    "FileNotFoundError: [Errno 2] No such file or directory: '.'",
    "FileNotFoundError: [Errno 2] No such file or directory: ''",
)


@pytest.mark.parametrize(
    ("log", "named"),
    [
        *((each, "data/d.csv") for each in WORDINGS),
        *((FAILED_CHILD.format(each), "data/d.csv") for each in OF_CHILDREN),
        (f"hydra.errors.MissingConfigException: {HYDRA}", "conf/db/pg.yaml"),
        *((each, None) for each in NOT_OF_FILES),
    ],
)
def test_each_wording_of_a_missing_file_is_understood(tmp_path: Path, log: str, named: str | None) -> None:
    for name in ("data/d.csv", "conf/config.yaml", "conf/db/pg.yaml", "conf/db/mysql.yaml", "x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    if "Traceback" not in log:
        log = f"Traceback (most recent call last):\n  File 'job.py'\n{log}"

    hint = hint_of_left_file(f"{log}\n", tmp_path, "", {"conf/config.yaml", "conf/db/mysql.yaml", "x"})

    assert (hint and hint.partition("`")[2].partition("`")[0]) == named


def test_a_file_above_the_project_is_told_with_the_directory_that_has_both(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "x.csv").touch()
    for path in ("../x.csv", "/a/raybundle-1/trees/ab/x.csv"):
        hint = hint_of_left_file(f"FileNotFoundError: No such file: '{path}'", tmp_path / "p", "", set())

        assert hint == (
            f"`../x.csv` is outside the project: `--working-dir {tmp_path}` makes that the project's root"
        )


IN_A_TASK = """ray.exceptions.RayTaskError(ImportError): \x1b[36mray::f()\x1b[39m (pid=1)
  File "/x.py", line 1, in f
ImportError: Install s3fs to access S3"""
CHAINED = """ImportError: needs optuna

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "x", line 1, in f
RuntimeError: failed"""


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "ImportError: Missing optional dependency 'tabulate'.  Use pip or conda to install tabulate.",
            "tabulate",
        ),
        ("AssertionError: Optuna must be installed! Run `pip install optuna`.", "optuna"),
        ("RuntimeError: optuna is not installed", "optuna"),
        ("ValueError: please `pip install -U pillow` first", "pillow"),
        ("ModuleNotFoundError: No module named 'PIL.Image'", "pillow"),
        ("ValueError: unrecognized engine 'netcdf4' must be one of your engines: ['store']", "netcdf4"),
        ("ImportError: Unable to find a usable engine; tried using: 'pyarrow', 'fastparquet'.", "pyarrow"),
        ("sqlalchemy.exc.NoSuchModuleError: Can't load plugin: sqlalchemy.dialects:duck", "duck-engine"),
        ("NameError: name 'optuna' is not defined", "optuna"),
        ("ImportError: Pandas requires version 3 or newer of openpyxl", "openpyxl"),
        (IN_A_TASK, "s3fs"),
        (CHAINED, "optuna"),
        (
            "ImportError: needs optuna\n\nagain\nTraceback (most recent call last):\nRuntimeError: failed",
            None,
        ),
        ("ImportError: Missing optional dependency 'travelled'.", None),
        ("ImportError: Missing optional dependency 'nowhere'.", None),
        ("ImportError: Missing optional dependency 'aiohttp'.", None),  # Ray brings it
        ("KeyError: 'optuna'", None),
        ("ValueError: no data, no rich text, cannot click", None),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/data/optuna/x.csv'", None),
        ("ValueError: could not convert string to float: 'abc'", None),
    ],
)
def test_an_error_that_names_an_installed_distribution_which_stayed_says_how_it_travels(
    tmp_path: Path, text: str, named: str | None
) -> None:
    names = ("tabulate", "optuna", "netCDF4", "pyarrow", "fastparquet", "openpyxl", "s3fs", "travelled")
    for name in (*names, "aiohttp", "data", "rich", "click", "pandas"):
        install(tmp_path, name, {f"{name}.py": b""})
    install(tmp_path, "pillow", {"PIL/__init__.py": b""})
    points = b"[sqlalchemy.dialects]\nduck = duck_engine:Dialect\n"
    install(
        tmp_path, "duck_engine", {"duck_engine.py": b"", "duck_engine-1.0.dist-info/entry_points.txt": points}
    )
    log = f"before pyarrow is not installed\nTraceback (most recent call last):\n{text}\n"

    hint = hint_of_left_distribution(log, [str(tmp_path)], {"travelled", "pandas"})

    assert (hint and hint.partition('"')[2].partition('"')[0]) == named


def test_an_error_without_a_traceback_is_the_end_of_the_log(tmp_path: Path) -> None:
    install(tmp_path, "optuna", {"optuna.py": b""})

    assert hint_of_left_distribution("working\noptuna is not installed\n", [str(tmp_path)], set())
    assert hint_of_left_distribution("optuna: 3 trials\n" + "working\n" * 9, [str(tmp_path)], set()) is None
