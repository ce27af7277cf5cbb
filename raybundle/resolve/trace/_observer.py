"""Runs a target in its interpreter and writes down what it imports and opens; standard library only.

    python _observer.py LOG NAME KIND TARGET SHOWN SIZES [DIRECTORIES…] [ARGS…]

The log grows while the target runs, a record a line, so that it holds what was seen whatever ends the
process: `os._exit`, a signal, a crash. A record is a tuple as `ascii` writes it.
"""

# Why so bare: a module that this file imported would be there before the target asks for it, and a module
# of the target with the name of one (`types.py` beside a script) would not be taken as Python takes it.
# ruff: noqa: PTH100, PTH113, SLF001
from __future__ import annotations

import sys

if __name__ == "__main__" and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]  # this file's own directory

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType, ModuleType
    from typing import Any

_METADATA = ("METADATA", "PKG-INFO", "RECORD", "requires.txt", "direct_url.json")
"""Files of a distribution that `version`, `metadata`, `requires` and `files` read."""
_WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Observer:
    """Stands first on `sys.meta_path` and finds nothing; hears of each file that is opened."""

    def __init__(self, log: str, roots: list[str], skipped: list[str]) -> None:
        self.log = log
        self.roots = tuple(root.rstrip("/") + "/" for root in roots)
        self.skipped = tuple(directory.rstrip("/") + "/" for directory in skipped)
        self.pending: dict[str, tuple[Any, ...]] = {}
        """Names that were asked for and are not in `sys.modules` yet, with who asked."""
        self.known: set[Any] = {("module", name) for name in sys.modules}
        """What was noted, or is not to be: modules, and files by whichever came first, reading or writing."""
        self.busy = False
        """This class itself reads a file."""

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> None:
        """Notes who asks for a module."""
        try:
            self.flush()
            if name not in self.pending:
                self.pending[name] = self.who(sys._getframe(1))
        except Exception:  # noqa: BLE001 - the target must not notice
            return

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook (PEP 578)."""
        if event != "open" or self.busy:
            return
        try:
            path, mode, flags = arguments
            if isinstance(path, int) or path == self.log:
                return
            self.flush()
            path = os.path.abspath(os.fsdecode(path))
            if ".dist-info/" in path or ".egg-info/" in path:
                self.asked(path, sys._getframe(1))
            self.opened(path, mode, flags, sys._getframe(1))
        except Exception:  # noqa: BLE001 - the target must not notice
            return

    def asked(self, path: str, frame: FrameType) -> None:
        """Notes a distribution whose metadata is read; of its entry points, if the wanted group has some."""
        directory, _, name = path.rpartition("/")
        group = _group_in(frame)
        if name == "entry_points.txt":
            if group is None or not self.has_group(path, group):
                return
        elif name not in _METADATA or group is not None:
            return
        who = self.who(frame)
        if ("metadata", directory, *who[:2]) not in self.known:
            self.known.add(("metadata", directory, *who[:2]))
            self.write("metadata", directory, *who)

    def has_group(self, path: str, group: str) -> bool:
        """Returns whether an `entry_points.txt` has a group."""
        self.busy = True
        try:
            with open(path, "rb") as stream:  # noqa: PTH123
                return f"[{group}]".encode() in stream.read()
        finally:
            self.busy = False

    def opened(self, path: str, mode: str | None, flags: int, frame: FrameType) -> None:
        """Notes a file of the project that was there when it was opened for reading."""
        if not path.startswith(self.roots) or path.startswith(self.skipped) or ("file", path) in self.known:
            return
        writes = mode[:1] in "wxa" if mode else flags & _WRITING
        if writes or not os.path.isfile(path):
            if writes:
                self.known.add(("file", path))
            return
        code = path.endswith((".py", ".pyc"))
        if code and not _is_import_system(frame):
            return
        self.known.add(("file", path))
        self.write("code" if code else "data", path, *self.who(frame))

    def flush(self) -> None:
        """Notes the modules that have come into `sys.modules` since the last time."""
        for name in list(self.pending):
            if name in sys.modules:
                who = self.pending.pop(name, None)
                if who is not None:
                    self.note(name, sys.modules.get(name), who)

    def note(self, name: str, module: Any, who: tuple[Any, ...]) -> None:
        """Writes where a module came from; `object` does not wake a lazy one."""
        spec = object.__getattribute__(module, "__dict__").get("__spec__")
        file = getattr(spec, "origin", None)
        if (
            isinstance(file, str)
            and getattr(spec, "has_location", False)
            and ("module", name) not in self.known
        ):
            self.known.add(("module", name))
            self.write("module", name, os.path.abspath(file), *who)

    def finish(self) -> None:
        """Notes what came into `sys.modules` past the finders, at the end of the process."""
        self.flush()
        for name, module in list(sys.modules.items()):
            try:
                self.note(name, module, ("", 0, ()))
            except Exception:  # noqa: BLE001, S112, PERF203 - anything can stand in sys.modules
                continue

    def who(self, frame: FrameType | None) -> tuple[str, int, tuple[str, ...]]:
        """Returns file and line of the nearest first-party frame, and the packages between it and here."""
        between: dict[str, None] = {}
        while frame is not None:
            file = frame.f_code.co_filename
            if file == __file__:
                break
            if not file.startswith("<"):
                if not file.startswith(self.skipped):
                    return os.path.abspath(file), frame.f_lineno, tuple(between)
                between[str(frame.f_globals.get("__name__")).partition(".")[0]] = None
            frame = frame.f_back
        return "", 0, tuple(between)

    def write(self, *record: Any) -> None:
        """Appends a record; opened anew each time: a target may close every descriptor, or reuse it."""
        log = os.open(self.log, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(log, ascii(record).encode() + b"\n")
        finally:
            os.close(log)


def _is_import_system(frame: FrameType) -> bool:
    """Returns whether a file is read to be run, not as a text."""
    return frame.f_code.co_filename.startswith("<frozen ") or frame.f_globals.get("__name__") == "runpy"


def _group_in(frame: FrameType | None) -> str | None:
    """The group of a call of `entry_points` that is running; empty for all groups, None without a call."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "entry_points" and "params" in frame.f_locals and "metadata" in code.co_filename:
            return str(frame.f_locals["params"].get("group", ""))
        frame = frame.f_back
    return None


def skipped_directories(given: list[str], roots: list[str]) -> Iterator[str]:
    """The standard library and what is installed: as the path names them, and behind links."""
    environment = [sys.prefix] if sys.prefix != sys.base_prefix else []
    for directory in [*given, *environment]:
        if not any((root + "/").startswith(directory.rstrip("/") + "/") for root in roots):
            yield directory
            yield os.path.realpath(directory)


def make_main(name: str) -> ModuleType:
    """A module in place of this one, as Python makes it for what it runs."""
    module = type(sys)(name)
    module.__dict__.update(__builtins__=sys.modules["builtins"], __annotations__={})
    sys.modules["__main__"] = module
    if name != "__main__":
        sys.modules[name] = module
    return module


def run_script(path: str, name: str) -> None:
    """As `python path` does (`pymain_run_file`, Modules/main.c)."""
    import _frozen_importlib_external as external  # noqa: PLC0415 - built in: takes no name from the target

    module = make_main(name)
    module.__dict__.update(__file__=path, __cached__=None, __loader__=external.SourceFileLoader(name, path))
    with open(path, "rb") as stream:  # noqa: PTH123
        code = compile(stream.read(), path, "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102 - it is what was asked for


def run_module(module: str, name: str) -> None:
    """As `python -m module` does, which calls the same function of `runpy`."""
    import runpy  # noqa: PLC0415 - Python itself imports it only here

    make_main(name)
    if name == "__main__":
        runpy._run_module_as_main(module)  # type: ignore[attr-defined]
    else:
        runpy.run_module(module, run_name=name, alter_sys=True)


def run(start: Callable[[str, str], None], target: str, name: str) -> None:
    """Runs the target; its traceback begins with its own frames."""
    try:
        start(target, name)
    except SystemExit:
        raise
    except BaseException:  # noqa: BLE001 - as at the top of any program
        kind, error, trace = sys.exc_info()
        while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        if kind is not None and error is not None:
            sys.excepthook(kind, error.with_traceback(trace), trace)
        interrupted = isinstance(error, KeyboardInterrupt)
        raise SystemExit(130 if interrupted else 1) from None


def main() -> None:
    """Takes apart the command line, fixes what the target sees of it, and runs the target."""
    log, name, kind, target, shown, counts, *words = sys.argv[1:]
    sizes = [int(each) for each in counts.split(",")]
    lists = []
    for size in sizes:
        lists.append(words[:size])
        words = words[size:]
    first, declared, roots, installed, added = lists
    import atexit  # noqa: PLC0415 - built in

    observer = Observer(log, roots, list(skipped_directories(installed, roots)))
    sys.argv[:] = [shown, *words]
    sys.orig_argv[:] = [sys.executable, *(["-m", target] if kind == "module" else [shown]), *words]
    extra = [] if getattr(sys.flags, "safe_path", False) else first
    sys.path[:] = [*extra, *(each for each in declared if each not in sys.path), *sys.path]
    sys.path += [each for each in added if each not in sys.path]
    atexit.register(observer.finish)  # the last to be called
    sys.addaudithook(observer.hear)
    sys.meta_path.insert(0, observer)
    run(run_module if kind == "module" else run_script, target, name)


if __name__ == "__main__":
    main()
