"""Starts the boot in every Python process of a job, before any user code. A failed boot stops user code.

Python imports this file while it starts up, from the unpacked archive or, in children of a booted process,
from the private cache. Python ignores exceptions that leave this file, so none leaves it. The file is small
because nothing verifies it before it runs; it checks the rest of the boot against `RAYBUNDLE_BOOT`.
Standard library only, Python 3.10 and later.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` costs 5 ms in every process
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

BOOT_FAILED = 78
"""Exit code of a process whose boot failed; EX_CONFIG of sysexits.h."""
RAY_WORKER = "/ray/_private/workers/default_worker.py"
"""End of the path of the script that a raylet starts."""
HOOK = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"
"""Names the hook that Ray runs in a worker (ray/_private/ray_constants.py). Only `ray.init` sets it."""
MAY_SUPERVISE = "RAY_worker_niceness"
"""Ray sets this variable for a supervisor (ray/dashboard/modules/job/job_manager.py), and also for the job's
workers if the entrypoint asks for resources."""
BOOT_ID = "/proc/sys/kernel/random/boot_id"
"""Names a start of this machine."""
PRIVATE = f"/tmp/raybundle-{os.getuid()}"
"""The cache of this user on this node."""
OF_A_PROCESS = (
    "RAYBUNDLE_ARCHIVE",
    "RAYBUNDLE_BOOTED",
    "RAYBUNDLE_DRIVER",
    "RAYBUNDLE_INTERPRETER",
    "RAYBUNDLE_LAYERS",
    "RAYBUNDLE_LOGS",
    "RAYBUNDLE_SCRATCH",
)
"""Variables that a booted process sets for its children."""
INTERPRETER = f"{sys.prefix} {sys.implementation.cache_tag}"
"""What tells this Python from others; a booted process says in RAYBUNDLE_INTERPRETER what it runs."""
SUPERVISORS = "ray.dashboard.modules.job."
"""Start of the name of the module whose actor supervises jobs."""
_guest: list[str] = []
"""Holds the hook that this file has set, unless the worker may be a supervisor."""
_undecided: list[str] = []
"""Holds it until the worker turns out to be a supervisor or a guest."""
_installed: dict[str, str] = {}
"""State of each file of the boot in the private cache, as `raybundle_materialise` has recorded it."""
_HERE = os.path.dirname(os.path.abspath(__file__))
_LIBRARY = os.path.dirname(os.__file__)


def is_library(path: str) -> bool:
    """Returns whether `path` is in the standard library, but not in a site-packages directory inside it."""
    rest = path[len(_LIBRARY) :]
    return path.startswith(_LIBRARY) and rest[:1] in ("", "/") and "-packages" not in rest


def role() -> str:
    """Returns `worker`, `driver` or `child`. The job's supervisor is a Ray worker, and counts as one here.

    Variables alone are not enough: `env_vars` of a task may be a copy of the driver's environment.
    """
    if sys.argv[0].endswith(RAY_WORKER):
        return "worker"
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and "RAYBUNDLE_DRIVER" not in os.environ:
        return "driver"
    return "child"


def is_guest() -> bool:
    """Returns whether this worker's task or actor brings the bundle, and not its job, as in Ray Serve."""
    return bool(_guest)


def _have_hook_run() -> None:
    """Makes Ray run the bundle's hook in this worker even if its task or actor brings the bundle.

    Ray passes on the hook of a job, and ignores that of a task or actor. A supervisor has none either.
    """
    if HOOK not in os.environ:
        os.environ[HOOK] = "raybundle_boot.ready"
        (_undecided if MAY_SUPERVISE in os.environ else _guest).append(HOOK)


def is_installer() -> bool:
    """Returns whether this is pip or uv making the job's environment, not a process of the job itself.

    Ray's agent runs them with the job's variables. If the runtime_env has `env_vars`, its working directory
    is on their PYTHONPATH: the two share a dict (ray/_private/runtime_env/agent/runtime_env_agent.py).
    `env_vars` may be a copy of a driver's environment; then the current directory tells: Ray runs both in
    `exec_cwd` (ray/_private/runtime_env/pip.py and uv.py).
    """
    made = "/runtime_resources/" in sys.prefix
    if "RAYBUNDLE_BOOTED" in os.environ or role() != "child":
        return made and os.path.isdir("../exec_cwd")
    return made


def is_program_of_the_node() -> bool:
    """Returns whether a process of the job has started a Python that has no part in it: `aws`, `dvc`.

    That is one of another version, or one without Ray. A driver counts if its script is not the job's.
    """
    ours, kind = os.environ.get("RAYBUNDLE_INTERPRETER", INTERPRETER), role()
    if ours == INTERPRETER or kind == "worker" or (kind == "driver" and _runs_the_jobs_script()):
        return False
    alike = ours.endswith(f" {sys.implementation.cache_tag}")
    return not (alike and any(os.path.isdir(f"{entry}/ray") for entry in sys.path))


def _runs_the_jobs_script() -> bool:
    script, archive = sys.argv[0], os.environ.get("RAYBUNDLE_ARCHIVE", "/")
    return not os.path.isabs(script) or script.startswith((PRIVATE, archive))


def node() -> str:
    """Returns the node's name, with its address in Ray if the command line has it."""
    name = os.uname().nodename
    for argument in sys.argv:
        if argument.startswith("--node-ip-address="):
            return f"{name} ({argument.partition('=')[2]})"
    return name


def is_private(directory: str) -> bool:
    """Returns whether `directory` is a real directory that only this user owns, reads and writes."""
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    # A directory (S_IFDIR) without any bit for group and others. The module `stat` would be an import.
    return status.st_mode & 0o170077 == 0o040000 and status.st_uid == os.getuid()  # noqa: PLR2004


def load(name: str) -> ModuleType:
    """Returns a module of the boot, from the private cache or else from the archive, which it verifies."""
    module = sys.modules.get(name)
    if module is None:
        module = type(sys)(name)
        cached = f"__pycache__/{name}.{sys.implementation.cache_tag}.pyc"
        if _is_recorded(cached):
            boot = f"{PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}"
            module.__file__ = f"{boot}/{name}.py"
            import marshal

            code = marshal.loads(_read(f"{boot}/{cached}")[16:])  # noqa: S302 - only the boot writes there
        else:
            module.__file__ = f"{os.environ['RAYBUNDLE_ARCHIVE']}/.raybundle/{name}.py"
            code = compile(read_boot()[f"{name}.py"], module.__file__, "exec")
        exec(code, module.__dict__)  # noqa: S102 - verified above, or private
        sys.modules[name] = module
    return module


def _is_recorded(path: str) -> bool:
    """Returns whether a file of the boot in the private cache is as it was installed."""
    boot = f"{PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}"
    try:
        if not _installed and is_private(PRIVATE):
            head, *lines = _read(f"{boot}.{sys.implementation.cache_tag}.files").decode().split("\n")
            if head.endswith(" -") or head.split()[-1] == _read(BOOT_ID).decode().strip():
                _installed.update(
                    (path, state) for state, _, path in (line.split("\t") for line in lines[:-1])
                )
        status = os.lstat(f"{boot}/{path}")
    except (OSError, ValueError, IndexError):
        return False
    state = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_mode:o}"
    return _installed.get(path) == state


def is_installed() -> bool:
    """Returns whether children can start with the copy of this file in the private cache."""
    level = f".opt-{sys.flags.optimize}" if sys.flags.optimize else ""
    byte_code = f"__pycache__/sitecustomize.{sys.implementation.cache_tag}{level}.pyc"
    found = _is_recorded("sitecustomize.py") and _is_recorded(byte_code)
    if not found:
        _installed.clear()  # it is about to be installed
    return found


def read_boot() -> dict[str, bytes]:
    """Returns the files of the boot in the archive, by name.

    Raises:
        RuntimeError: their digest is not `RAYBUNDLE_BOOT`.
    """
    from hashlib import sha256

    archive = os.environ["RAYBUNDLE_ARCHIVE"]
    own = f"{archive}/.raybundle"
    files = {"sitecustomize.py": _read(f"{archive}/sitecustomize.py")}
    for name in os.listdir(own):
        if name.startswith("raybundle_") and name.endswith(".py"):
            files[name] = _read(f"{own}/{name}")
    lines = "".join(f"{sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    found, expected = sha256(lines.encode()).hexdigest(), os.environ["RAYBUNDLE_BOOT"]
    if found != expected:
        raise RuntimeError(f"file sitecustomize.py and {own}: expected boot {expected}, found {found}")
    return files


def _read(file: str) -> bytes:
    with open(file, "rb") as stream:
        return stream.read()


def _load_with(loads: Callable[[bytes], Any]) -> Any:
    """Makes Ray load functions and actor classes with `loads`; returns what it loaded them with before."""
    from ray._private import function_manager

    class Proxy:
        def __getattr__(self, name: str) -> Any:
            return loads if name == "loads" else getattr(before, name)

    before: Any = function_manager.pickle
    function_manager.pickle = Proxy()
    return before


def _load_plain(data: bytes, line: str) -> Any:
    """Returns what is pickled in `data`; raises `line` if that needs globals."""
    import io
    import pickle

    class Plain(pickle.Unpickler):
        def find_class(self, _module: str, _name: str) -> Any:
            raise RuntimeError(line)

    return Plain(io.BytesIO(data)).load()


def _refuse_tasks(line: str) -> None:
    """Makes each task and actor of this worker raise `line` instead of running.

    If the worker exited, Ray would start it again and again, and the job would hang. An exception raised here
    is lost. Functions and actor classes reach a worker as pickles that need globals; Ray's other messages
    do not. So a worker whose `pickle` finds no globals can report errors, but cannot run anything.
    """
    _load_with(lambda data: _load_plain(data, line))


def _postpone() -> None:
    """Makes the hook wait for the first function or actor class, which tells a supervisor from a guest.

    Ray describes it in a plain dict before it sends its pickle (ray/_private/function_manager.py).
    """
    boot = sys.modules["raybundle_boot"]
    ready = boot.__dict__["ready"]

    def decide(data: bytes) -> Any:
        from ray._private import function_manager

        function_manager.pickle = before[0]
        try:
            supervises = _load_plain(data, "").get("module", "").startswith(SUPERVISORS)
        except Exception:  # noqa: BLE001 - whatever it is, it is not a supervisor
            supervises = False
        if not supervises:
            _guest.append(HOOK)
            try:
                ready()
            except Exception as error:  # noqa: BLE001 - after any failure, user code must not run
                _refuse_tasks(_tell(error))
        return function_manager.pickle.loads(data)

    def wait(*_: Any) -> None:
        os.environ.pop(HOOK, None)  # a supervisor passes its variables on to the driver
        before.append(_load_with(decide))

    before: list[Any] = []
    boot.__dict__["ready"] = wait


def _tell(error: object) -> str:
    """Writes and returns the line that says why the boot failed."""
    bundle = os.environ.get("RAYBUNDLE_DIGEST")
    line = f"raybundle: boot failed: bundle {bundle}: node {node()}: {error}".replace("\n", " ")
    os.write(2, f"{line}\n".encode(errors="backslashreplace"))
    return line


def _stop(error: object) -> None:
    """Ends this process with a one-line message; a worker stays alive and refuses its tasks."""
    line = _tell(error)
    if role() != "worker":
        os._exit(BOOT_FAILED)
    module = type(sys)("raybundle_boot")
    module.__dict__["ready"] = lambda *_: _refuse_tasks(line)
    sys.modules["raybundle_boot"] = module


def _start() -> None:
    original = sys.path[:]
    # This comes first: from here on, not even the boot imports from the job's working directory.
    sys.path[:] = filter(is_library, original)
    if os.path.isdir(f"{_HERE}/.raybundle"):
        if role() == "worker":  # `env_vars` that are a copy of a driver's environment have them
            for name in OF_A_PROCESS:
                os.environ.pop(name, None)
            _have_hook_run()
        os.environ["RAYBUNDLE_ARCHIVE"] = _HERE
    os.environ["RAYBUNDLE_PYTHON"], os.environ["RAYBUNDLE_INTERPRETER"] = sys.executable, INTERPRETER
    os.environ["RAYBUNDLE_TREE"] = f"{PRIVATE}/trees/{os.environ['RAYBUNDLE_DIGEST'].partition(':')[2]}"
    # Byte-code is only read from beside its source, where only the boot writes.
    sys.pycache_prefix = None
    os.environ.pop("PYTHONPYCACHEPREFIX", None)
    try:
        load("raybundle_boot").start(sys.modules[__name__], original)
    except Exception as error:  # noqa: BLE001 - after any failure, user code must not run
        sys.path[:] = original
        _stop(error if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}")


def _step_aside() -> None:
    """Removes the job from this process and its children, so that they see only their environment."""
    boot = f"{PRIVATE}/boot/{os.environ.pop('RAYBUNDLE_BOOT')}"
    del os.environ["RAYBUNDLE_DIGEST"]
    rest = [entry for entry in os.environ.get("PYTHONPATH", "").split(":") if entry not in ("", _HERE, boot)]
    os.environ["PYTHONPATH"] = ":".join(rest)
    sys.path[:] = [entry for entry in sys.path if entry not in (_HERE, boot)]


def _leave_alone() -> None:
    """Gives this process the path of plain Ray; children that run the job's Python boot as ever."""
    own, project = (_HERE, os.environ["RAYBUNDLE_ARCHIVE"]), f"{os.environ['RAYBUNDLE_TREE']}/project"
    sys.path[:] = dict.fromkeys(project if entry in own else entry for entry in sys.path)


if "RAYBUNDLE_DIGEST" in os.environ and "RAYBUNDLE_BOOT" in os.environ:
    _step_aside() if is_installer() else _leave_alone() if is_program_of_the_node() else _start()
elif role() == "worker" and os.path.isdir(f"{_HERE}/.raybundle"):
    _have_hook_run()
    _stop(
        RuntimeError(
            "variable RAYBUNDLE_DIGEST: expected the bundle whose archive is the `working_dir`, found none: "
            "give the task, actor or deployment the whole runtime_env of the bundle, with its `env_vars`"
        )
    )
if _undecided:
    _postpone()
