"""The script of a pickled call, and the lines by which a job announces a result."""

from __future__ import annotations

import base64
import hashlib
import importlib
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import threading
import zlib
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cloudpickle
import pytest

from raybundle.cluster.jobs import TOKEN, JobInfo
from raybundle.errors import FunctionError, JobFailedError, ResultError, UsageError
from raybundle.functions.calling import target_of
from raybundle.functions.pickling import Call, pickled
from raybundle.functions.results import LONGEST, MOST, TAG, ResultLines, result_of
from raybundle.functions.script import known_lines, make_script, script_name
from raybundle.store.local import LocalStore
from tests.support.small_project import tree

if TYPE_CHECKING:
    from raybundle.errors import JobError

FILE = Path("/project/call.function.py")
LOCK = threading.Lock()
HERE = "{}.{}".format(*sys.version_info)


def script_of(module: ModuleType, name: str) -> tuple[str, Any]:
    data, carried = pickled(Call(getattr(module, name), (), {}))
    script = make_script(carried, data, FILE)
    assert len(script.places) == len(script.lines)
    return script.content.decode().partition("# From here on")[0], script


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads a source as Airflow loads a DAG file: under a name that is on no path."""

    def load(text: str, name: str = "unusual_prefix_dag") -> ModuleType:
        file = tmp_path / "dag.py"
        file.write_text(text)
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
        return module

    return load


def test_the_script_imports_what_the_function_uses_and_repeats_its_constants(load: Any) -> None:
    module = load(
        "import json as j\nfrom pathlib import Path\nPLACE = Path('conf/a.yaml')\nNAME = 'plugins.one'\n"
        "def inner():\n    import sqlite3\n    return PLACE, NAME\n"
        "def work():\n    return j.dumps(inner())\n"
    )

    text, script = script_of(module, "work")

    assert "import json as j" in text
    assert "Path('conf/a.yaml')" in text
    assert "NAME = 'plugins.one'" in text
    assert "     import sqlite3" in text
    file, line = script.places[script.lines.index("     import sqlite3")]
    assert (file.name, line) == ("dag.py", 6)


def test_a_function_whose_source_nobody_has_is_read_in_its_byte_code(load: Any) -> None:
    module = load(
        "exec(compile('def work():\\n  import sqlite3.dump\\n  from xml import sax', '<x>', 'exec'))"
    )

    text, _ = script_of(module, "work")

    assert "def _raybundle_import(): import sqlite3.dump" in text
    assert "def _raybundle_import(): from xml import sax" in text


def test_a_function_of_a_module_that_is_found_by_its_name_travels_as_its_file() -> None:
    data, carried = pickled(Call(base64.b64encode, (b"x",), {}))

    assert carried == ()
    assert b"base64" in data


def test_a_module_that_travels_by_value_is_not_imported_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "carried_dag.py").write_text(
        "import json\nclass Odd(Exception): ...\ndef work():\n    raise Odd(json.dumps(1))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("carried_dag")
    cloudpickle.register_pickle_by_value(module)
    try:
        text, _ = script_of(module, "work")
    finally:
        cloudpickle.unregister_pickle_by_value(module)
        del sys.modules["carried_dag"]

    assert "import json as json\n" in text
    assert "carried_dag" not in text


def test_a_module_of_a_package_that_is_on_no_path_is_not_imported_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(
        tmp_path,
        {
            "odd/__init__.py": "",
            "odd/sub.py": "import json\ndef work():\n    return inner()\n"
            "def inner():\n    return json.dumps(1)\n",
        },
    )
    spec = importlib.util.spec_from_file_location(
        "unusual_package", tmp_path / "odd/__init__.py", submodule_search_locations=[str(tmp_path / "odd")]
    )
    assert spec is not None
    monkeypatch.setitem(sys.modules, "unusual_package", importlib.util.module_from_spec(spec))
    module = importlib.import_module("unusual_package.sub")
    text, _ = script_of(module, "work")
    del sys.modules["unusual_package.sub"]

    assert "import json as json\n" in text
    assert "unusual_package" not in text


def test_lines_of_travelling_functions_reach_tracebacks_at_their_places(load: Any) -> None:
    module = load("import json\n\ndef work():\n    return json.loads('{')\n")
    _, carried = pickled(Call(module.work, (), {}))

    assert known_lines(carried) == {
        module.__file__: ["\n", "\n", "def work():\n", "    return json.loads('{')\n"]
    }


def test_code_keeps_its_file_in_a_pickle(load: Any) -> None:
    made = load("def outer():\n    return lambda: 1\n")
    outer = pickle.loads(pickled(Call(made.outer, (), {}))[0])[0]  # noqa: S301 - just made

    assert outer.__code__.co_filename == made.outer.__code__.co_filename
    assert outer().__code__.co_filename == made.outer.__code__.co_filename


def test_what_cannot_be_pickled_is_named(load: Any) -> None:
    with pytest.raises(UsageError, match=r"argument 2 of b64encode\(\) cannot be pickled: TypeError"):
        pickled(Call(base64.b64encode, (b"x", LOCK), {}))
    module = load("import threading\nLOCK = threading.Lock()\ndef work():\n    return LOCK\n")
    with pytest.raises(UsageError, match=r"the global `LOCK` of work\(\) cannot be pickled"):
        pickled(Call(module.work, (), {}))


def test_no_module_has_the_name_of_a_script() -> None:
    assert script_name("<lambda>") == "lambda.function.py"
    assert script_name("…") == "call.function.py"


def lines_of(pieces: list[bytes]) -> tuple[ResultLines, bytes]:
    shown: list[bytes] = []
    lines = ResultLines(shown.append)
    for piece in pieces:
        lines.take(piece)
    lines.end()
    return lines, b"".join(shown)


def result(kind: str, value: object = None, **more: str) -> bytes:
    head = json.dumps({"kind": kind, "python": HERE, **more}).encode()
    return head + b"\n" + (b"" if value is None else pickle.dumps(value))


def announced(data: bytes, way: str, mark: str = "t") -> bytes:
    return TAG + f"{mark} sha256:{hashlib.sha256(data).hexdigest()} {len(data)} {way}\n".encode()


def in_log(data: bytes, token: bytes = b"t") -> bytes:
    text = base64.b64encode(zlib.compress(data))
    parts = [text[start : start + 20] for start in range(0, len(text), 20)]
    sent = b"".join(TAG + token + b" part %d %s\n" % pair for pair in enumerate(parts))
    return sent + announced(data, "log", token.decode())


def read(log: bytes, directory: Path, failed: JobError | None = None) -> Any:
    """Returns the result that a log announces of a job whose token is `t`."""
    info = JobInfo("j", "SUCCEEDED", "", "", 0, None, 0, 0, {TOKEN: "t"}, None)
    return result_of("j", info, lines_of([log])[0], LocalStore(directory), failed)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_lines_of_a_result_are_kept_from_the_log_that_is_shown(size: int) -> None:
    told = in_log(result("value", 3)).replace(TAG, b"\n" + TAG)
    log = b"before\n\n\nno end of line" + told + b"\nraybundle: resulting\nafter"

    lines, shown = lines_of([log[start : start + size] for start in range(0, len(log), size)])

    assert shown == b"before\n\n\nno end of line\n\nraybundle: resulting\nafter"
    assert "t" in lines.told


def test_a_result_comes_back_through_the_log_and_through_the_store(tmp_path: Path) -> None:
    store, data = LocalStore(tmp_path), result("value", [1, 2])
    store.put_new(f"results/j/{hashlib.sha256(data).hexdigest()}", data)

    assert read(in_log(data), tmp_path) == [1, 2]
    assert read(announced(data, "store"), tmp_path) == [1, 2]


def test_nothing_is_unpickled_that_is_not_what_the_log_announces(tmp_path: Path) -> None:
    class Planted:
        def __reduce__(self) -> Any:
            return (tmp_path / "ran").mkdir, ()

    store, data, planted = LocalStore(tmp_path), result("value", 1), result("value", Planted())
    store.put_new(f"results/j/{hashlib.sha256(data).hexdigest()}", planted)
    log = in_log(planted).replace(announced(planted, "log"), announced(data, "log"))

    for lines in (announced(data, "store"), log):
        with pytest.raises(ResultError, match="is damaged"):
            read(lines, tmp_path)
    assert not (tmp_path / "ran").exists()


def test_a_result_of_another_python_or_of_too_many_bytes_is_not_read(tmp_path: Path) -> None:
    other = b'{"kind": "value", "python": "2.7"}\n' + pickle.dumps(1)
    with pytest.raises(ResultError, match=r"pickled by Python 2\.7, and this is Python 3"):
        read(in_log(other), tmp_path)
    large = TAG + f"t sha256:{'0' * 64} {MOST + 1} store\n".encode()
    with pytest.raises(ResultError, match="256 MiB, more than is read"):
        read(large, tmp_path)


def test_the_functions_own_exception_is_raised_from_the_traceback_of_the_job(tmp_path: Path) -> None:
    data = result("error", KeyError("k"), text="Traceback: here", error="KeyError: 'k'")

    with pytest.raises(KeyError) as raised:
        read(in_log(data), tmp_path, JobFailedError("job j failed"))
    cause = raised.value.__cause__

    assert isinstance(cause, FunctionError)
    assert cause.traceback == "Traceback: here"
    assert "job j: the function raised KeyError: 'k'\n\nTraceback: here" in str(cause)


@pytest.mark.parametrize("value", [None, KeyboardInterrupt()])
def test_an_exception_that_cannot_be_made_again_is_told_by_its_text(tmp_path: Path, value: object) -> None:
    data = result("error", value, text="Traceback: here", error="Odd: x")

    with pytest.raises(FunctionError, match="Odd: x\n\nTraceback: here"):
        read(in_log(data), tmp_path)


def test_an_exception_whose_class_is_not_here_is_told_by_its_text(tmp_path: Path) -> None:
    data = result("error", text="Traceback: here", error="Odd: x") + b"cno_such_module\nOdd\n."

    with pytest.raises(FunctionError, match="Odd: x") as raised:
        read(in_log(data), tmp_path)

    assert "No module named 'no_such_module'" in str(raised.value.hint)


def test_a_job_without_a_result_raises_why_it_has_none(tmp_path: Path) -> None:
    failed = JobFailedError("job j failed")
    for log, error, text in (
        (b"", failed, "job j failed"),
        (b"", None, "announces no result"),
        (TAG + b"t refused it is too large\n", failed, "its result has not: it is too large"),
        (in_log(result("exit", text="it called sys.exit(3)")), failed, r"it called sys\.exit\(3\)"),
        (announced(b"x", "store"), None, "is not in the store"),
    ):
        with pytest.raises(JobFailedError, match=text):
            read(log, tmp_path, error)


@pytest.mark.parametrize(
    ("refused", "hint"),
    [
        ("it cannot be pickled: TypeError: a generator", "return what it is made from"),
        ("it has 257 MiB, and at most 256 MiB travel", "write the result where you read it"),
        (
            "it has 2 MiB, and the node cannot write it to the store: no key",
            "let the nodes write to `results/`",
        ),
    ],
)
def test_the_hint_fits_the_reason_why_a_result_does_not_travel(
    tmp_path: Path, refused: str, hint: str
) -> None:
    with pytest.raises(ResultError) as raised:
        read(TAG + f"t refused {refused}\n".encode(), tmp_path)

    assert str(raised.value.hint).startswith(hint)


def test_what_a_job_only_prints_is_no_result(tmp_path: Path) -> None:
    forged, own = in_log(result("value", "forged"), b"j"), in_log(result("value", "own"))
    refused = TAG + b"%s refused it is too large\n"
    behind = b"".join(
        b"(task pid=7) " + line for line in in_log(result("value", "x")).splitlines(keepends=True)
    )

    assert read(forged + refused % b"j" + own + forged + refused % b"-", tmp_path) == "own"
    assert read(behind + own, tmp_path) == "own"
    assert read(own + in_log(result("value", "late")) + refused % b"t", tmp_path) == "own"
    for log in (forged, behind, own[:-1]):
        with pytest.raises(ResultError, match="announces no result"):
            read(log, tmp_path)


def test_a_line_without_an_end_is_not_held() -> None:
    shown: list[bytes] = []
    lines = ResultLines(shown.append)

    lines.take(TAG)
    for _ in range(3):
        lines.take(b"x" * LONGEST)

    assert b"".join(shown) == TAG + 3 * LONGEST * b"x"
    lines.take(TAG + b"t refused inside of a line\n")
    assert not lines.told


@pytest.mark.parametrize("head", [{"kind": "error", "text": "t"}, {"kind": "exit"}, {"kind": "odd"}, {}])
def test_a_header_that_lacks_something_is_damage(tmp_path: Path, head: dict[str, str]) -> None:
    data = json.dumps({"python": HERE, **head}).encode() + b"\n"

    with pytest.raises(ResultError, match="is damaged"):
        read(in_log(data), tmp_path)


def driven(tmp_path: Path, function: Any, *args: Any, source: str = "") -> bytes:
    """Returns what the driver of a function prints on a node without Ray."""
    target = target_of(Call(function, args, {}), tmp_path)
    script = tmp_path / target.script.name
    script.write_bytes(target.content)
    script.with_suffix(".pickle").write_bytes(target.call)
    config = {"metadata": {"job_submission_id": "j", TOKEN: "t"}}
    environ = {**os.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(config), "RAYBUNDLE_SOURCE": source}
    return subprocess.run(
        [sys.executable, str(script)], env=environ, stdout=subprocess.PIPE, check=False
    ).stdout


FAILING = """\
class Odd(Exception):
    def __str__(self):
        raise ValueError
def large():
    import os
    raise ValueError(os.urandom(1 << 20))
def odd():
    raise Odd
def unready():
    class Unready:
        def __reduce__(self):
            raise Odd
    return Unready()
def says_its_variables():
    import os
    print(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"], end="")
    return 1
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("large", "the function raised ValueError: b'"),
        ("odd", "the function raised Odd: <it cannot be shown>"),
        ("unready", "its result has not: it cannot be pickled: Odd: <it cannot be shown>"),
    ],
)
def test_what_a_function_raised_is_told_however_large_or_odd_it_is(
    tmp_path: Path, load: Any, name: str, text: str
) -> None:
    module, failed = load(FAILING), JobFailedError("job j failed")

    with pytest.raises((JobFailedError, module.Odd)) as raised:
        read(driven(tmp_path, getattr(module, name)), tmp_path, failed)
    told = raised.value.__cause__ if name == "odd" else raised.value

    assert text in str(told)
    assert name != "unready" or told.__cause__ is failed


CHAINED = """\
class Elsewhere(Exception):
    def __init__(self, place, why):
        super().__init__(why)
class Closed(Exception):
    def __reduce__(self):
        raise ValueError
def caused():
    try:
        {}["k"]
    except KeyError as error:
        raise ValueError("v") from error
def within():
    try:
        caused()
    except ValueError:
        raise RuntimeError("r")
def hidden():
    try:
        caused()
    except ValueError:
        raise RuntimeError("r") from None
def circle():
    first, second = RuntimeError("r"), ValueError("v")
    first.__cause__, second.__cause__ = second, first
    raise first
def unread():
    raise RuntimeError("r") from Elsewhere("here", "why")
def unwritten():
    raise RuntimeError("r") from Closed()
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("caused", "ValueError('v') from KeyError('k') from FunctionError"),
        ("within", "RuntimeError('r') in ValueError('v') from KeyError('k') from FunctionError"),
        ("hidden", "RuntimeError('r') from FunctionError"),
        ("circle", "RuntimeError('r') from ValueError('v') from FunctionError"),
        ("unread", "RuntimeError('r') from FunctionError"),
        ("unwritten", "RuntimeError('r') from FunctionError"),
    ],
)
def test_an_exception_comes_back_with_those_that_it_was_raised_from(
    tmp_path: Path, load: Any, name: str, expected: str
) -> None:
    log = driven(tmp_path, getattr(load(CHAINED), name))

    with pytest.raises((ValueError, RuntimeError)) as raised:
        read(log, tmp_path, JobFailedError("job j failed"))

    assert chain_of(raised.value) == expected


def chain_of(error: BaseException | None) -> str:
    """Returns an exception and those that a traceback shows before it."""
    text = ""
    while error is not None:
        if isinstance(error, FunctionError):
            return f"{text}FunctionError"
        hidden = error.__cause__ is not None or error.__suppress_context__
        text += f"{error!r} {'from' if hidden else 'in'} "
        error = error.__cause__ if hidden else error.__context__
    return text


def test_an_exception_comes_back_where_one_that_it_was_raised_from_is_not_known(
    tmp_path: Path, load: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "far_away.py").write_text("class Far(Exception): pass")
    monkeypatch.syspath_prepend(tmp_path)
    function = load(
        "def fails():\n    import far_away\n    raise RuntimeError('r') from far_away.Far()"
    ).fails
    log = driven(tmp_path, function)
    monkeypatch.undo()

    with pytest.raises(RuntimeError) as raised:
        read(log, tmp_path, JobFailedError("job j failed"))

    assert chain_of(raised.value) == "RuntimeError('r') from FunctionError"


SILENT = """\
import os, sys
def closes():
    print("before", flush=True)
    os.close(1)
    return 1
def closes_its_stream():
    sys.stdout.close()
    return 1
def redirects():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 1
def redirects_its_stream():
    sys.stdout = open(os.devnull, "w")
    return 1
def has_no_stream():
    sys.stdout = None
    return 1
"""


@pytest.mark.parametrize(
    "name", ["closes", "closes_its_stream", "redirects", "redirects_its_stream", "has_no_stream"]
)
def test_a_function_may_close_or_redirect_its_standard_output(tmp_path: Path, load: Any, name: str) -> None:
    log = driven(tmp_path, getattr(load(SILENT), name))

    assert read(log, tmp_path) == 1
    assert lines_of([log])[1] == (b"before\n" if name == "closes" else b"")


def test_the_token_of_a_result_is_not_in_the_variables_of_the_function(tmp_path: Path, load: Any) -> None:
    log = driven(tmp_path, load(FAILING).says_its_variables)
    lines, shown = lines_of([log])

    assert shown == b'{"metadata": {"job_submission_id": "j"}}\n'
    assert read(log, tmp_path) == 1
    assert "t" in lines.told


SPAWNING = """\
import functools, multiprocessing
def double(x):
    return 2 * x
def pool(function, value):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.map(function, [value])
def work(value):
    return pool(double, value)
class Point:
    def __init__(self, x):
        self.x = x
    def moved(self, by):
        return Point(self.x + by)
    def all(self):
        return pool(self.moved, 1)[0].x
    def __call__(self):
        return work(self.x)
def first(point):
    return pool(point.moved, 2)[0].x
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("functools.partial(functools.partial(work), 1)", [2]),
        ("Point(1).all", 2),
        ("Point(2)", [4]),
        ("functools.partial(first, Point(3))", 5),
    ],
)
def test_every_kind_of_function_of_main_starts_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, result: object
) -> None:
    main = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec(SPAWNING, vars(main))  # noqa: S102 - a script, as Python runs it
    log = driven(tmp_path, eval(call, vars(main)))  # noqa: S307 - made above

    assert read(log, tmp_path) == result


def test_a_result_in_a_directory_leaves_the_files_of_others_there(tmp_path: Path) -> None:
    store = tmp_path / "store"
    (store / ".incoming").mkdir(parents=True)
    log = driven(tmp_path, base64.b64encode, b"x", source=store.as_uri())

    assert b" store\n" in log
    assert read(log, store) == b"eA=="
    assert not list((store / ".incoming").iterdir())
