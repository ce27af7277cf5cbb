"""Finds the verified tree of the bundle on this node and sets `sys.path` of this process from it.

Every Python process of a job runs this warm path: a few system calls and no expensive imports.
`raybundle_materialise` makes a missing tree and `raybundle_links` makes missing links to Ray, once per node.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` costs 5 ms in every process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from raybundle.node.raybundle_path import Places
    from raybundle.node.stub import Stub

    Record = dict[str, Any]

_held: list[int] = []
"""Descriptors that stay open while this process lives: shared locks on its tree and environment."""
_stub: list[Stub] = []
"""The boot's module `sitecustomize`. In `sys.modules`, a user's own module may replace it."""
_job: list[str] = []
"""The job's configuration as the supervisor passed it; user code may change the variable."""
secrets: dict[str, str] = {}
"""Value of each secret by its name, as this process started with it."""
_held_back: list[str] = []
"""Warnings kept until the worker is ready: Ray does not show users what a worker prints before that."""
OWN_ENVIRONMENT = "/runtime_resources/"
"""Part of the prefix of an environment that Ray has made for `pip` or `uv` of a runtime_env."""
MERGE = "raybundle_boot.merge"
"""Value of RAY_RUNTIME_ENV_HOOK: the function that `ray.init` calls."""
PROGRAMS = "project/.raybundle/bin"
"""Directory of a tree with the console scripts that the job starts."""
HEX_DIGITS = 64
"""Length of a SHA-256."""
_places: list[Places] = []
"""Kept for a worker that learns its job only when it is ready."""


def start(stub: Stub, original: list[str]) -> None:
    """Sets the path of this process.

    Args:
        stub: the module `sitecustomize`.
        original: `sys.path` as Python made it.
    """
    _stub.append(stub)
    tree, archive, role = os.environ["RAYBUNDLE_TREE"], os.environ["RAYBUNDLE_ARCHIVE"], stub.role()
    _find_layers(archive)
    record = _hold(stub, tree)
    check_python(record)
    links, own = _links(stub, record, original)
    fixed = (f"{links}/ray/thirdparty_files", links)
    path = _added_by_the_job(stub, archive) + _path(record, tree, sys.path, fixed, own)
    if "RAYBUNDLE_SECRETS" in os.environ:
        lines = os.environ["RAYBUNDLE_SECRETS"].split("\n")
        secrets.update(stub.load("raybundle_secrets").set_secrets(lines))
    _set_environment(stub, tree)
    module = stub.load("raybundle_path")
    _set_finders(stub, module, tree)
    _places.append(module.Places(tree, os.path.realpath(archive), record["environment"] or "", links, own))
    _places[0].link_anew = lambda: _links(stub, record, original, anew=True)
    module.Path.tree, module.Path.places, module.Path.fixed = tree, (archive, _places[0].archive), fixed
    if own:
        _held_back.append(stub.load("raybundle_links").describe(own))
    scratch = stub.load("raybundle_scratch").find(stub, role)
    if scratch:
        module.Path.places += (scratch, os.path.realpath(scratch))
    sys.path = module.Path(path)
    _join_init(role)
    if role == "driver":
        _run_verified(module.verified)
    if scratch:
        stub.load("raybundle_scratch").enter(stub, role, scratch, _places[0])
    if record.get("sitecustomize"):
        _chain()
    module.expect_first_entry(role, path)


def ready(hook: bytes = b"") -> None:
    """Runs in each worker once Ray has connected it. A worker that did not boot cannot find this function.

    Args:
        hook: pickle of the driver's own `worker_process_setup_hook`.
    """
    module = sys.modules["raybundle_path"]
    if isinstance(sys.path, module.Path):
        sys.path[:] = sys.path.planned
    if "RAYBUNDLE_SCRATCH" not in os.environ:
        _stub[0].load("raybundle_scratch").enter_late(_stub[0], module.Path, _places[0])
    if _stub[0].is_guest():
        _stub[0].load("raybundle_serve").watch()
    _stub[0].load("raybundle_seen").tell_ready()
    _warn()
    if hook or "RAYBUNDLE_HOOK" in os.environ or "RAYBUNDLE_START" in os.environ:
        _stub[0].load("raybundle_init").begin(hook)


def merge(runtime_env: Any) -> Any:
    """Returns the runtime_env that `ray.init` uses. Another RAY_RUNTIME_ENV_HOOK runs first."""
    if other := os.environ.get("RAYBUNDLE_OTHER_MERGE"):
        module, _, name = other.rpartition(".")
        runtime_env = getattr(__import__(module, fromlist=[name]), name)(runtime_env)
    text = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or (_job[0] if _job else None)
    _stub[0].load("raybundle_serve").watch()
    return _stub[0].load("raybundle_init").merge(runtime_env, text, sys.modules[__name__])


def _join_init(role: str) -> None:
    """Makes `ray.init` in a driver and its children combine their runtime_env with the job's.

    If `uv run` is an ancestor of the process, Ray would replace the interpreter by `uv` and skip the hook.
    """
    environ = os.environ
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in environ:
        return
    if role == "worker":  # it has a copy of the driver's environment, but its children are not drivers
        environ["RAYBUNDLE_DRIVER"] = "0"
        return
    _job.append(environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])
    other = environ.get("RAY_RUNTIME_ENV_HOOK")
    if other and other != MERGE:
        environ["RAYBUNDLE_OTHER_MERGE"] = other
    environ.update(RAY_RUNTIME_ENV_HOOK=MERGE, RAY_OVERRIDE_JOB_RUNTIME_ENV="1")
    environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"


def _find_layers(archive: str) -> None:
    """Sets RAYBUNDLE_LAYERS to the directories with layers that Ray unpacked, also for child processes.

    Ray starts a process with its `py_modules` on PYTHONPATH, before the working directory. A task's own
    `py_modules` replace the bundle's there, and are refused.
    """
    entries = os.environ.get("PYTHONPATH", "").split(":")
    if "RAYBUNDLE_BOOTED" in os.environ or archive not in entries:
        return
    found = []
    for entry in entries[: entries.index(archive)]:
        names = os.listdir(entry) if os.path.isdir(entry) else []
        if any(_is_of_a_layer(name) for name in names):
            found.append(entry)
        elif names:
            raise RuntimeError(
                f"file {entry}: expected layers of the bundle, found {min(names)}: a task's or actor's own "
                "py_modules cannot be combined with a bundle; add them to the bundle with `include`"
            )
    os.environ["RAYBUNDLE_LAYERS"] = ":".join(found)


def _is_of_a_layer(name: str) -> bool:
    """Returns whether `name` is that of a layer's file: 64 hex digits and a suffix."""
    return len(name) > HEX_DIGITS and not name[:HEX_DIGITS].strip("0123456789abcdef")


def _hold(stub: Stub, tree: str) -> Record:
    """Returns the record of the tree; makes a missing tree, and locks it while this process lives."""
    record = _take(stub, tree) or stub.load("raybundle_materialise").materialise(stub, tree, _take)
    if record is None:
        raise RuntimeError(f"file {tree}: expected the tree that was just made, found none")
    return record


def _take(stub: Stub, tree: str) -> Record | None:
    """Returns the record of the tree and locks tree and environment; None if one must be made."""
    if not (stub.is_private(stub.PRIVATE) and stub.is_installed() and os.path.exists(f"{tree}/record")):
        return None
    held = [_lock_directory(stub.PRIVATE), _lock(tree)]
    record = _read_record(f"{tree}/record")
    if record:
        environment = record.get("environment")
        keys = os.environ.get("RAYBUNDLE_TRUSTED_KEYS")
        submitted = record.get("delivery") == os.environ.get("RAYBUNDLE_DELIVERY")
        submitted = submitted and (not keys or "".join(keys.split()) == record.get("trusted"))
        if environment and submitted:
            environment = f"{stub.PRIVATE}/environments/{environment}"
            if os.path.isdir(os.path.dirname(environment)):
                held.append(_lock(environment))
        if submitted and (not environment or os.path.isdir(environment)):
            record["environment"] = environment
            _held.extend(held)
            return record
    for descriptor in held:
        os.close(descriptor)
    return None


def _lock(path: str) -> int:
    """Returns the descriptor of a shared lock. The mtime of the lock file is the last use."""
    import fcntl

    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.utime(descriptor)
    return descriptor


def _lock_directory(directory: str) -> int:
    """Returns the descriptor of a shared lock: `systemd-tmpfiles` leaves a locked directory alone."""
    import fcntl

    fcntl.flock(descriptor := os.open(directory, os.O_RDONLY), fcntl.LOCK_SH)
    return descriptor


def _read_record(file: str) -> Record | None:
    """Returns the record of a tree; None if it is gone, damaged, or of an earlier boot."""
    import _imp  # a hash without the cost of `hashlib`

    try:
        with open(file, "rb") as stream:
            text, _, checksum = stream.read().rpartition(b"checksum ")
    except OSError:
        return None
    if checksum.strip() != _imp.source_hash(1, text).hex().encode():
        return None
    record: Record = {"path": [], "provided": []}
    for line in text.decode().split("\n"):
        name, _, value = line.partition(" ")
        if name in ("path", "provided"):
            record[name].append(value)
        else:
            record[name] = value
    return record


def check_python(asked: Record) -> None:
    """Refuses an interpreter that the bundle was not built for.

    Args:
        asked: `python` and, if the bundle has native files, `abi` and `platform`, and perhaps `libc`.

    Raises:
        RuntimeError: this interpreter differs in one of them, or libc is older.
    """
    found = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
    if found != asked["python"]:
        raise RuntimeError(f"file {sys.executable}: expected Python {asked['python']}, found {found}")
    if "abi" in asked:
        import _imp  # SOABI without the cost of `sysconfig`

        suffix: str = _imp.extension_suffixes()[0]
        if suffix != f".{asked['abi']}.so":
            abi = suffix[1:].rpartition(".")[0]
            raise RuntimeError(f"file {sys.executable}: expected ABI {asked['abi']}, found {abi}")
    machine, system = os.uname().machine, {"darwin": "macosx"}.get(sys.platform, sys.platform)
    platform = asked.get("platform", f"{system}-{machine}")
    if system not in platform or not platform.endswith((machine, "universal2")):
        raise RuntimeError(f"file {sys.executable}: expected platform {platform}, found {system}-{machine}")
    libc = asked.get("libc", "")
    glibc = os.confstr("CS_GNU_LIBC_VERSION") if "glibc" in libc else None  # musl does not tell its version
    if glibc and [*map(int, glibc[6:].replace("-", ".").split(".")[:2])] < [*map(int, libc[6:].split("."))]:
        raise RuntimeError(f"file {sys.executable}: expected {libc} or newer, found {glibc} on {machine}")


def _links(stub: Stub, record: Record, original: list[str], *, anew: bool = False) -> tuple[str, str]:
    """Makes the directories of links if the node's installation has changed, or if asked to check them.

    Returns:
        The directory with Ray and what the cluster provides, and the one with what `pip` or `uv` of a
        runtime_env installed in this process' environment; the second is empty if there is none.
    """
    skip = {os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(":") if p} | set(sys.path)
    sites = [entry for entry in original if entry not in skip and os.path.isdir(entry)]
    own = _link(stub, sites, [], sys.prefix, anew=anew) if OWN_ENVIRONMENT in sys.prefix else ""
    serve = ["ray[serve]"] if stub.is_guest() else []
    return _link(stub, sites, record["provided"] + serve, anew=anew), own


def _warn() -> None:
    while _held_back:
        os.write(2, f"raybundle: warning: {_held_back.pop()}\n".encode(errors="backslashreplace"))


def _link(stub: Stub, sites: list[str], provided: list[str], prefix: str = "", *, anew: bool = False) -> str:
    import _imp  # a hash without the cost of `hashlib`

    boot = os.environ["RAYBUNDLE_BOOT"]  # another boot may make other links
    described = "\n".join([boot, sys.implementation.cache_tag, *sites, prefix, *provided])
    state = "\n".join([described, *(str(os.stat(site).st_mtime_ns) for site in sites)])
    name = _imp.source_hash(1, described.encode()).hex()
    link, wanted = f"{stub.PRIVATE}/links/{name}", f".{name}-{_imp.source_hash(1, state.encode()).hex()}"
    try:
        if os.readlink(link) == wanted and not anew:
            return link
    except OSError:
        pass
    stub.load("raybundle_links").make_links(stub, link, wanted, sites, provided, prefix)
    return link


def _path(record: Record, tree: str, library: list[str], fixed: tuple[str, str], own: str) -> list[str]:
    """Returns the entries of the path. The process' own environment comes before the bundle's layers."""
    path: list[str] = []
    before = "layers" if "layers" in record["path"] else "ray"
    for symbol in record["path"]:
        root, _, rest = os.fsdecode(symbol.encode()).partition(":")  # names on the disk are UTF-8
        if own and symbol == before:
            path.append(own)
        if symbol == "stdlib":
            path += library
        elif symbol == "layers":
            path.append(record["environment"])
        elif symbol == "ray":
            path += fixed
        elif root == "project":
            path.append(os.path.normpath(f"{tree}/project/{rest}"))
        else:
            number, _, below = rest.partition(":")
            path.append(os.path.normpath(f"{tree}/root-{number}/{below}"))
    return path


def _added_by_the_job(stub: Stub, archive: str) -> list[str]:
    """Returns the entries that a process of the job has added to PYTHONPATH for this child.

    The node's own PYTHONPATH is not for the job: only a child of a booted process has RAYBUNDLE_BOOTED.
    """
    if "RAYBUNDLE_BOOTED" not in os.environ:
        return []
    boot = f"{stub.PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}"
    return [e for e in os.environ.get("PYTHONPATH", "").split(":") if e not in ("", archive, boot)]


def _set_environment(stub: Stub, tree: str) -> None:
    """Makes children of this process boot from the private cache, with this interpreter.

    If the cache is removed while the job runs, children find `sitecustomize` in the working directory and
    make the cache again. Without it, they would run on the node's site-packages.
    """
    environ = os.environ
    boot, archive = f"{stub.PRIVATE}/boot/{environ['RAYBUNDLE_BOOT']}", environ["RAYBUNDLE_ARCHIVE"]
    environ["PYTHONPATH"] = ":".join([boot, archive, *_added_by_the_job(stub, archive)])
    environ["RAYBUNDLE_BOOTED"] = "1"
    environ.setdefault("PY_IGNORE_IMPORTMISMATCH", "1")  # pytest: modules come from the verified tree
    binaries = [os.path.dirname(sys.executable)]
    if os.path.isdir(f"{tree}/{PROGRAMS}"):
        binaries.insert(0, f"{tree}/{PROGRAMS}")
    known = environ.get("PATH", os.defpath).split(":")
    if known[: len(binaries)] != binaries:
        environ["PATH"] = ":".join(binaries + known)


def _set_finders(stub: Stub, module: Any, tree: str) -> None:
    """Resets the import system's finders, and drops the modules that the node's `.pth` files imported."""
    external: Any = sys.modules["_frozen_importlib_external"]
    builtin: Any = sys.modules["_frozen_importlib"]
    sys.meta_path[:] = [
        builtin.BuiltinImporter,
        builtin.FrozenImporter,
        external.PathFinder,
        module.Explaining(lambda name: stub.load("raybundle_absent").explain(name, tree)),
    ]
    sys.path_importer_cache.clear()
    files = external.FileFinder.path_hook(*external._get_supported_file_loaders())
    through, watched = module.see_through(files), stub.load("raybundle_seen").watching(files, _places)
    sys.path_hooks[:] = [through, sys.modules["zipimport"].zipimporter, watched]
    for name, loaded in list(sys.modules.items()):
        if not name.startswith(("__main__", "sitecustomize", "raybundle_")) and _is_foreign(stub, loaded):
            del sys.modules[name]


def _is_foreign(stub: Stub, module: object) -> bool:
    file = getattr(module, "__file__", None)
    if file:
        return not stub.is_library(file)
    return hasattr(module, "__path__")  # a namespace package that an `-nspkg.pth` file made


def _chain() -> None:
    """Imports the user's own `sitecustomize`. Like Python, prints an exception and goes on."""
    del sys.modules["sitecustomize"]
    try:
        __import__("sitecustomize")
    except Exception:  # noqa: BLE001 - as Python does
        sys.excepthook(*sys.exc_info())


def _run_verified(verified: Callable[[str], str | None]) -> None:
    """Restarts the driver with the verified copy of its script, if it runs that of the working directory.

    Jobs of plain Ray start such drivers: `python job.py`. Only a driver can be restarted, before it runs any
    code: its flags are its own, and no `multiprocessing` parent waits for it. A relative script without a
    verified copy gets an absolute path, because the driver is about to change its directory.
    """
    given = sys.argv[0]
    script = os.path.abspath(given)
    copy = verified(script)
    if copy is None or not os.path.isfile(copy):
        copy = script if not os.path.isabs(given) and os.path.exists(script) else ""
    if given and copy:
        flags = sys.orig_argv[1 : len(sys.orig_argv) - len(sys.argv)]
        words = [sys.executable, *flags, copy, *sys.argv[1:]]
        os.execv(sys.executable, words)  # noqa: S606 - the interpreter that runs this
    os.environ["RAYBUNDLE_DRIVER"] = str(os.getpid())
    _warn()
