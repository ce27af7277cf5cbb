"""Runs a target in its own interpreter, in a process of its own, and returns what it imported and opened."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.errors import BundleError, UsageError
from raybundle.exhaustive import assert_never
from raybundle.model import (
    ConsoleScriptTarget,
    DirectoryTarget,
    FunctionTarget,
    ModuleTarget,
    NotebookTarget,
    ScriptTarget,
    Warning,
)
from raybundle.resolve.distributions.installed import InstalledDistribution
from raybundle.resolve.driver.layout import added_roots
from raybundle.resolve.driver.path import declared_roots
from raybundle.resolve.driver.project import first_directory
from raybundle.resolve.find.directories import Directories
from raybundle.resolve.traced import DRIVER, Traced, TracedDistribution, TracedFile, TracedModule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.model import Interpreter, Target

_OBSERVER = Path(__file__).with_name("_observer.py")
_BODY = "__mp_main__"
"""Name of a module of which only the body is run: `multiprocessing` imports a program by it, so that its
`if __name__ == "__main__":` is not entered."""
_GRACE = 5.0
"""Seconds that a target has to end after SIGTERM, before SIGKILL."""
_LISTING = 20
"""Distributions that one line may ask about by name. One that asks about more lists what is installed."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a target that is to be observed."""

    target: Target
    project: Path
    roots: tuple[str, ...]
    """As declared, relative to the project."""
    cwd: Path
    environ: Mapping[str, str]
    arguments: tuple[str, ...] = ()
    as_main: bool = True
    """Else only the body of the module is run: `if __name__ == "__main__":` is not entered."""


def observe(run: Run, interpreter: Interpreter) -> tuple[Traced, int]:
    """Returns what `run` imported and opened until its end, and its exit code, negative for a signal.

    An interrupt ends the run and all its processes.

    Raises:
        BundleError: the interpreter cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="raybundle-trace-") as directory:
        log = Path(directory) / "log"
        log.touch()
        code = _run(_command(run, interpreter, str(log)), run)
        records = [ast.literal_eval(line) for line in _complete_lines(log)]
    warnings = () if code == 0 else (_ended(code, run),)
    installed = tuple(f"{directory}/" for directory in interpreter.site)
    # What Ray itself imports is the cluster's own.
    records = [each for each in records if not ("ray" in each[-1] and each[-4].startswith(installed))]
    traced = _read(records, run)
    return replace(traced, warnings=warnings, succeeded=code == 0), code


def _command(run: Run, interpreter: Interpreter, log: str) -> list[str]:
    installed = [*interpreter.stdlib, *interpreter.site]
    declared = declared_roots(run.project, run.roots)
    own = (entry for entry in interpreter.path if entry not in installed)
    first_entry = first_directory(run.target, run.project, run.cwd, safe_path=interpreter.safe_path)
    first = [] if first_entry is None else [str(first_entry)]
    roots = list(dict.fromkeys(map(os.path.realpath, [str(run.project), *first, *declared, *own])))
    added = _added_roots(run, interpreter)
    lists = [
        first,
        list(declared),
        [*roots, *(each for each in added if each not in roots)],
        installed,
        added,
    ]
    sizes = ",".join(str(len(each)) for each in lists)
    words = [*_named(run), sizes, *(word for each in lists for word in each), *run.arguments]
    return [interpreter.executable, str(_OBSERVER), log, DRIVER if run.as_main else _BODY, *words]


def _named(run: Run) -> tuple[str, str, str]:
    """Returns the kind of the target, the target, and how `sys.argv` shows it."""
    match run.target:
        case ScriptTarget(path=path):
            shown = os.path.relpath(path, run.cwd) if path.is_relative_to(run.cwd) else str(path)
            return "script", str(path), shown
        case ModuleTarget(name=name):
            return "module", name, "-m"
        case DirectoryTarget(path=path):
            return "script", str(path / "__main__.py"), os.path.relpath(path, run.cwd)
        case NotebookTarget() | ConsoleScriptTarget() | FunctionTarget():
            raise UsageError(
                "a notebook or console script cannot be traced", hint="trace a script, or `-m MODULE`"
            )
        case other:
            return assert_never(other)


def _added_roots(run: Run, interpreter: Interpreter) -> list[str]:
    if interpreter.safe_path:
        return []
    return list(added_roots(str(run.project), str(run.cwd.resolve()), Directories()))


def _run(command: list[str], run: Run) -> int:
    """What the target prints goes to stderr: stdout is for data."""
    sys.stderr.flush()
    try:
        process = subprocess.Popen(
            command, cwd=run.cwd, env=_environ(run), stdout=sys.stderr.fileno(), start_new_session=True
        )
    except OSError as error:
        raise BundleError(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        return process.wait()
    except BaseException:
        _end(process)
        raise


def _environ(run: Run) -> dict[str, str]:
    """Processes that the run starts have the declared roots, as on a node: workers of a local Ray, too."""
    declared = declared_roots(run.project, run.roots)
    entries = [*declared, *filter(None, [run.environ.get("PYTHONPATH")])]
    return {**run.environ, **({"PYTHONPATH": os.pathsep.join(entries)} if declared else {})}


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole group; a second interrupt meets processes that are told to end already."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _complete_lines(log: Path) -> Iterable[str]:
    """A process that was killed may have left half a line."""
    return log.read_text("ascii").rpartition("\n")[0].splitlines()


def _ended(code: int, run: Run) -> Warning:
    how = f"ended with exit code {code}" if code > 0 else f"was ended by {_signal_name(-code)}"
    text = f"the target {how} while traced: only what it did until then is known"
    file = run.target.path if isinstance(run.target, ScriptTarget) else None
    return Warning(text, file, None, "what it wrote stands above; trace a run that ends well")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _read(records: list[tuple[Any, ...]], run: Run) -> Traced:
    names = {each[2]: each[1] for each in records if each[0] == "module"}
    driver = next((each[-3] for each in records if _is_driver(each[-3], run.target, names)), "")
    names[driver] = DRIVER
    modules: dict[str, TracedModule] = {}
    files: dict[str, TracedFile] = {}
    asked: list[TracedDistribution] = []
    for kind, *name, file, asker, line, _ in records:
        importer, place = (names[asker], line) if asker and asker in names else (DRIVER, 1)
        if kind == "module":
            modules.setdefault(name[0], TracedModule(name[0], file, importer, place, located=bool(asker)))
        elif kind == "metadata":
            found = InstalledDistribution.at(Path(file)).name
            asked.append(TracedDistribution(found, importer, place))
        elif (source := _source_of(file)) not in names:
            files.setdefault(source, TracedFile(source, importer, place))
    return Traced(tuple(modules.values()), tuple(files.values()), distributions=tuple(_meant(asked)))


def _meant(asked: list[TracedDistribution]) -> Iterator[TracedDistribution]:
    """Yields each distribution once, but none of a place that goes through all that are installed."""
    counts = Counter((each.importer, each.line) for each in asked)
    single = [each for each in asked if counts[each.importer, each.line] <= _LISTING]
    yield from {each.name: each for each in reversed(single)}.values()


def _is_driver(file: str, target: Target, names: Mapping[str, str]) -> bool:
    """Returns whether a file asked as the driver; one that is run with `-m` has no name of its own."""
    if isinstance(target, ModuleTarget):
        tail = target.name.replace(".", "/")
        return file not in names and file.endswith((f"/{tail}.py", f"/{tail}/__main__.py"))
    return file in _files_of(target)


def _files_of(target: Target) -> tuple[str, ...]:
    match target:
        case ScriptTarget(path=path):
            return (str(path),)
        case DirectoryTarget(path=path):
            return (str(path / "__main__.py"),)
        case _:
            return ()


def _source_of(file: str) -> str:
    """Returns the source that byte-code in `__pycache__` was made from (PEP 3147)."""
    directory, _, name = file.rpartition("/")
    if not (file.endswith(".pyc") and directory.endswith("/__pycache__")):
        return file
    return f"{directory.removesuffix('__pycache__')}{name.partition('.')[0]}.py"
