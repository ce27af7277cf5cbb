"""Starts the boot in every Python process of a job, before any user code; a failure stops user code.

Python imports this file from the unpacked archive (or, in children of a booted process, from the private
cache) while it starts up, and ignores exceptions that leave it: so nothing leaves it. It is kept small
because it is the one file that nothing verifies before it runs; the rest of the boot is checked against
`RAYBUNDLE_BOOT`. Standard library only, Python 3.10 and later.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` costs 5 ms in every process
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

BOOT_FAILED = 78
"""Exit code of a process whose boot failed; EX_CONFIG of sysexits.h."""
RAY_WORKER = "/ray/_private/workers/default_worker.py"
"""What a raylet starts."""
PRIVATE = f"/tmp/raybundle-{os.getuid()}"
OF_A_PROCESS = (
    "RAYBUNDLE_ARCHIVE",
    "RAYBUNDLE_BOOTED",
    "RAYBUNDLE_DRIVER",
    "RAYBUNDLE_LAYERS",
    "RAYBUNDLE_SCRATCH",
)
"""Variables by which a booted process tells its children of itself."""
_HERE = os.path.dirname(os.path.abspath(__file__))
_LIBRARY = os.path.dirname(os.__file__)


def is_library(path: str) -> bool:
    """Claims that `path` is the standard library's, and not that of a site-packages directory inside it."""
    rest = path[len(_LIBRARY) :]
    return path.startswith(_LIBRARY) and rest[:1] in ("", "/") and "-packages" not in rest


def role() -> str:
    """Returns `worker`, `driver` or `child`; the job's supervisor is a worker to Ray, and to us.

    Variables alone do not say it: `env_vars` of a task may be a copy of the driver's environment.
    """
    if sys.argv[0].endswith(RAY_WORKER):
        return "worker"
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ and "RAYBUNDLE_DRIVER" not in os.environ:
        return "driver"
    return "child"


def is_installer() -> bool:
    """Claims that this is pip or uv making the environment of the job, and no process of the job itself.

    Ray's agent runs them with the job's variables and, where a runtime_env has `env_vars`, with its working
    directory on PYTHONPATH: the two share a dict (ray/_private/runtime_env/agent/runtime_env_agent.py).
    These `env_vars` may be a copy of a driver's environment; the current directory is Ray's in any case,
    `exec_cwd` (ray/_private/runtime_env/pip.py and uv.py).
    """
    made = "/runtime_resources/" in sys.prefix
    if "RAYBUNDLE_BOOTED" in os.environ or role() != "child":
        return made and os.path.isdir("../exec_cwd")
    return made


def node() -> str:
    """Returns the node's name, with the address by which Ray knows it where that is told."""
    name = os.uname().nodename
    for argument in sys.argv:
        if argument.startswith("--node-ip-address="):
            return f"{name} ({argument.partition('=')[2]})"
    return name


def is_private(directory: str) -> bool:
    """Claims that `directory` is ours alone: a real directory that no other user can write to or own."""
    try:
        status = os.lstat(directory)
    except OSError:
        return False
    # A directory (S_IFDIR), and no bit for group and others; `stat` would be an import.
    return status.st_mode & 0o170077 == 0o040000 and status.st_uid == os.getuid()  # noqa: PLR2004


def load(name: str) -> ModuleType:
    """Returns a module of the boot: from the private cache, else from the archive if its digest is right."""
    module = sys.modules.get(name)
    if module is None:
        cached = f"{PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}/{name}.py"
        module = type(sys)(name)
        if is_private(PRIVATE) and os.path.exists(cached):
            module.__file__ = cached
            loader: Any = type(__spec__.loader)  # Python's own for source files, with its byte-code
            code: Any = loader(name, cached).get_code(name)
        else:
            module.__file__ = f"{os.environ['RAYBUNDLE_ARCHIVE']}/.raybundle/{name}.py"
            code = compile(read_boot()[f"{name}.py"], module.__file__, "exec")
        exec(code, module.__dict__)  # noqa: S102 - verified above, or private
        sys.modules[name] = module
    return module


def read_boot() -> dict[str, bytes]:
    """Returns the files of the boot in the archive, by name, as `RAYBUNDLE_BOOT` describes them.

    Raises:
        RuntimeError: they are others.
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


def _refuse_tasks(line: str) -> None:
    """Makes each task and actor of this worker raise `line`, instead of unpickling and running it.

    Ray starts a worker that exits again and again, and the job would hang; and an exception here is lost.
    Functions and actor classes reach a worker as pickles that need globals; what Ray sends beside them does
    not. So a worker whose `pickle` knows no globals can report errors, and run nothing.
    """
    import io
    import pickle

    from ray._private import function_manager

    class Refusing(pickle.Unpickler):
        def find_class(self, _module: str, _name: str) -> Any:
            raise RuntimeError(line)

    class Proxy:
        @staticmethod
        def loads(data: bytes) -> Any:
            return Refusing(io.BytesIO(data)).load()

        def __getattr__(self, name: str) -> Any:
            return getattr(ray_pickle, name)

    ray_pickle: Any = function_manager.pickle
    function_manager.pickle = Proxy()


def _stop(error: object) -> None:
    """Ends this process with one line; a worker lives on and refuses its tasks."""
    bundle = os.environ.get("RAYBUNDLE_DIGEST")
    line = f"raybundle: boot failed: bundle {bundle}: node {node()}: {error}".replace("\n", " ")
    os.write(2, f"{line}\n".encode(errors="backslashreplace"))
    if role() != "worker":
        os._exit(BOOT_FAILED)
    module = type(sys)("raybundle_boot")
    module.__dict__["ready"] = lambda *_: _refuse_tasks(line)
    sys.modules["raybundle_boot"] = module


def _start() -> None:
    original = sys.path[:]
    # First of all: nothing of the job's working directory is imported from here on, also by ourselves.
    sys.path[:] = filter(is_library, original)
    if os.path.isdir(f"{_HERE}/.raybundle"):
        if role() == "worker":  # it has them from `env_vars` that are a copy of a driver's environment
            for name in OF_A_PROCESS:
                os.environ.pop(name, None)
        os.environ["RAYBUNDLE_ARCHIVE"] = _HERE
    os.environ["RAYBUNDLE_PYTHON"] = sys.executable
    os.environ["RAYBUNDLE_TREE"] = f"{PRIVATE}/trees/{os.environ['RAYBUNDLE_DIGEST'].partition(':')[2]}"
    # Byte-code comes from beside its source, of which only we write, and from nowhere else.
    sys.pycache_prefix = None
    os.environ.pop("PYTHONPYCACHEPREFIX", None)
    try:
        load("raybundle_boot").start(sys.modules[__name__], original)
    except Exception as error:  # noqa: BLE001 - whatever it is, user code must not run
        sys.path[:] = original
        _stop(error if isinstance(error, RuntimeError) else f"{type(error).__name__}: {error}")


def _step_aside() -> None:
    """Takes the job out of this process and of its children: they are to see the environment alone."""
    boot = f"{PRIVATE}/boot/{os.environ.pop('RAYBUNDLE_BOOT')}"
    del os.environ["RAYBUNDLE_DIGEST"]
    rest = [entry for entry in os.environ.get("PYTHONPATH", "").split(":") if entry not in ("", _HERE, boot)]
    os.environ["PYTHONPATH"] = ":".join(rest)
    sys.path[:] = [entry for entry in sys.path if entry not in (_HERE, boot)]


if "RAYBUNDLE_DIGEST" in os.environ and "RAYBUNDLE_BOOT" in os.environ:
    _step_aside() if is_installer() else _start()
