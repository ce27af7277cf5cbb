"""Gives a process the bundle's path: finds the verified tree of this node and sets `sys.path` from it.

This is the warm way, run by every Python process of a job: a few system calls, no imports that cost.
What is missing is made by `raybundle_materialise` (the tree) and `raybundle_links` (Ray), once per node.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # `typing` costs 5 ms in every process
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from raybundle.node.stub import Stub

    Record = dict[str, Any]

_held: list[int] = []
"""Descriptors that stay open while this process lives: a shared lock on the tree in use."""
_stub: list[Stub] = []
"""The module `sitecustomize`; a user's own may take its place in `sys.modules`."""
_job: list[str] = []
"""The job's configuration as the supervisor has passed it, whatever becomes of the variable."""
secrets: dict[str, str] = {}
"""Value of each secret by its name, as this process started with it."""
_held_back: list[str] = []
"""Warnings that wait until Ray shows them to the user: what a worker says while it starts is not."""
OWN_ENVIRONMENT = "/runtime_resources/"
"""Part of the prefix of an environment that Ray has made for `pip` or `uv` of a runtime_env."""
MERGE = "raybundle_boot.merge"
"""Ray calls it in `ray.init`, by this name in RAY_RUNTIME_ENV_HOOK."""
HEX_DIGITS = 64
"""Of a SHA-256."""


class Places:
    """Where this process has its code."""

    __slots__ = ("archive", "links", "tree")

    def __init__(self, tree: str, archive: str, links: str) -> None:
        """Takes absolute paths: the verified tree, what Ray has unpacked, and the directory with `ray`."""
        self.tree, self.archive, self.links = tree, archive, links


_places: list[Places] = []
"""For a worker that learns of its job only when it is ready."""


def start(stub: Stub, original: list[str]) -> None:
    """Sets the path of this process.

    Args:
        stub: the module `sitecustomize`, for its role, `load` and `read_boot`.
        original: `sys.path` as Python made it.
    """
    _stub.append(stub)
    digest = os.environ["RAYBUNDLE_DIGEST"].partition(":")[2]
    tree = f"{stub.PRIVATE}/trees/{digest}"
    archive, role = os.environ["RAYBUNDLE_ARCHIVE"], stub.role()
    _find_layers(archive)
    record = _hold(stub, tree)
    check_python(record)
    links, own = _links(stub, record, original)
    library = sys.path[:]
    fixed = (f"{links}/ray/thirdparty_files", links)
    path = _added_by_the_job(stub, archive) + _path(record, tree, library, fixed, own)
    if "RAYBUNDLE_SECRETS" in os.environ:
        lines = os.environ["RAYBUNDLE_SECRETS"].split("\n")
        secrets.update(stub.load("raybundle_secrets").set_secrets(lines))
    _set_environment(stub)
    module = stub.load("raybundle_path")
    _set_finders(stub, module, tree)
    _places.append(
        Places(tree, os.path.realpath(archive), links)
    )  # a link may be on the way: `--temp-dir` of Ray
    module.Path.tree, module.Path.places, module.Path.fixed = tree, (archive, _places[0].archive), fixed
    if own:
        _held_back.append(_describe(own))
    scratch = stub.load("raybundle_scratch").find(stub.PRIVATE, role)
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
    _expect_first_entry(role, path, module.AtFirstImport)


def ready(theirs: bytes = b"") -> None:
    """Runs in each worker once Ray has connected it: a worker that was never booted fails to find it.

    Args:
        theirs: pickle of the driver's own hook.
    """
    module = sys.modules["raybundle_path"]
    if isinstance(sys.path, module.Path):
        sys.path[:] = sys.path.planned
    if "RAYBUNDLE_SCRATCH" not in os.environ:
        late = _stub[0].load("raybundle_scratch")
        scratch = f"{_stub[0].PRIVATE}/jobs/{late.find_late()}"
        module.Path.places += (scratch, os.path.realpath(scratch))
        late.enter(_stub[0], "worker", scratch, _places[0])
    _warn()
    if theirs or "RAYBUNDLE_HOOK" in os.environ or "RAYBUNDLE_START" in os.environ:
        _stub[0].load("raybundle_init").begin(theirs)


def merge(runtime_env: Any) -> Any:
    """Returns the runtime_env with which `ray.init` goes on; another hook of Ray's goes first."""
    if other := os.environ.get("RAYBUNDLE_OTHER_MERGE"):
        module, _, name = other.rpartition(".")
        runtime_env = getattr(__import__(module, fromlist=[name]), name)(runtime_env)
    text = os.environ.get("RAY_JOB_CONFIG_JSON_ENV_VAR") or (_job[0] if _job else None)
    return _stub[0].load("raybundle_init").merge(runtime_env, text, sys.modules[__name__])


def _join_init(role: str) -> None:
    """Lets `ray.init` of a driver, and of its children, combine a runtime_env with that of the job.

    With `uv run` among its ancestors, Ray would put `uv` in the place of the interpreter and not ask us.
    """
    environ = os.environ
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" not in environ:
        return
    if role == "worker":  # it has a copy of the driver's environment; its children are no drivers
        environ["RAYBUNDLE_DRIVER"] = "0"
        return
    _job.append(environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])
    other = environ.get("RAY_RUNTIME_ENV_HOOK")
    if other and other != MERGE:
        environ["RAYBUNDLE_OTHER_MERGE"] = other
    environ["RAY_RUNTIME_ENV_HOOK"] = MERGE
    environ["RAY_OVERRIDE_JOB_RUNTIME_ENV"] = "1"
    environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"


def _find_layers(archive: str) -> None:
    """Notes where Ray has put layers, for this process and for its children, in RAYBUNDLE_LAYERS.

    Ray starts a process with its `py_modules` on PYTHONPATH, before the working directory. Where a task has
    some of its own, they stand there in place of the bundle's.
    """
    entries = os.environ.get("PYTHONPATH", "").split(":")
    if "RAYBUNDLE_BOOTED" in os.environ or archive not in entries:
        return
    ours = []
    for entry in entries[: entries.index(archive)]:
        names = os.listdir(entry) if os.path.isdir(entry) else []
        if any(_is_of_a_layer(name) for name in names):
            ours.append(entry)
        elif names:
            raise RuntimeError(
                f"file {entry}: expected layers of the bundle, found {min(names)}: a task's or actor's own "
                "py_modules cannot be combined with a bundle; take them along with `include` instead"
            )
    os.environ["RAYBUNDLE_LAYERS"] = ":".join(ours)


def _is_of_a_layer(name: str) -> bool:
    """Claims that a file has the name of a layer or of a part of one: 64 hex digits and more."""
    return len(name) > HEX_DIGITS and not name[:HEX_DIGITS].strip("0123456789abcdef")


def _hold(stub: Stub, tree: str) -> Record:
    """Returns the record of the tree, made if need be; eviction is kept from it while this process lives."""
    record = _take(stub, tree) or stub.load("raybundle_materialise").materialise(stub, tree, _take)
    if record is None:
        raise RuntimeError(f"file {tree}: expected a tree, found none after it was made")
    return record


def _take(stub: Stub, tree: str) -> Record | None:
    """Returns the record of the tree, with shared locks on it and its environment; None if one is missing."""
    boot = f"{stub.PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}"
    if not (stub.is_private(stub.PRIVATE) and os.path.exists(boot) and os.path.exists(f"{tree}/record")):
        return None
    held = [_lock(tree)]
    if os.path.exists(f"{tree}/record"):
        record = _read_record(f"{tree}/record")
        environment = record.get("environment")
        submitted = record.get("delivery") == os.environ.get("RAYBUNDLE_DELIVERY")
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
    """Returns the descriptor of a shared lock; its time is the last use."""
    import fcntl

    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.utime(descriptor)
    return descriptor


def _read_record(file: str) -> Record:
    record: Record = {"path": [], "provided": []}
    with open(file, encoding="utf-8") as stream:
        for line in stream:
            name, _, value = line.rstrip("\n").partition(" ")
            if name in ("path", "provided"):
                record[name].append(value)
            else:
                record[name] = value
    return record


def check_python(asked: Record) -> None:
    """Refuses an interpreter on which the bundle was not meant to run.

    Args:
        asked: `python`, and where native files are in the bundle, `abi` and `platform`.

    Raises:
        RuntimeError: this one is another.
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


def _links(stub: Stub, record: Record, original: list[str]) -> tuple[str, str]:
    """Returns the directories of links, made anew when the node's installation changed.

    Returns:
        That of Ray and what the cluster provides; and that of what `pip` or `uv` of a runtime_env installed
        in the environment that this process runs on, empty where it has none of its own.
    """
    skip = {os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(":") if p} | set(sys.path)
    sites = [entry for entry in original if entry not in skip and os.path.isdir(entry)]
    ray = _link(stub, sites, record["provided"])
    own = _link(stub, sites, [sys.prefix]) if OWN_ENVIRONMENT in sys.prefix else ""
    return ray, own


def _describe(own: str) -> str:
    folders = (name for name in sorted(os.listdir(own)) if name.endswith(".dist-info"))
    names = (folder.removesuffix(".dist-info").replace("-", " ", 1) for folder in folders)
    return f"`pip` or `uv` of a runtime_env comes before what the bundle brings: {', '.join(names)}"


def _warn() -> None:
    while _held_back:
        os.write(2, f"raybundle: warning: {_held_back.pop()}\n".encode(errors="backslashreplace"))


def _link(stub: Stub, sites: list[str], what: list[str]) -> str:
    import _imp  # a hash without the cost of `hashlib`

    # Another boot may understand `what` otherwise.
    described = "\n".join([os.environ["RAYBUNDLE_BOOT"], sys.implementation.cache_tag, *sites, "", *what])
    state = "\n".join([described, *(str(os.stat(site).st_mtime_ns) for site in sites)])
    name = _imp.source_hash(1, described.encode()).hex()
    link, wanted = f"{stub.PRIVATE}/links/{name}", f".{name}-{_imp.source_hash(1, state.encode()).hex()}"
    try:
        if os.readlink(link) == wanted:
            return link
    except OSError:
        pass
    stub.load("raybundle_links").make_links(link, wanted, sites, what)
    return link


def _path(record: Record, tree: str, library: list[str], fixed: tuple[str, str], own: str) -> list[str]:
    """Returns the path; what the process' own environment has stands before what the bundle brings."""
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
    """Returns what a process of the job has put on the PYTHONPATH of this child of its.

    What the node has there is not for the job: only a child of a booted process has RAYBUNDLE_BOOTED.
    """
    if "RAYBUNDLE_BOOTED" not in os.environ:
        return []
    ours = (archive, f"{stub.PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}")
    return [entry for entry in os.environ.get("PYTHONPATH", "").split(":") if entry and entry not in ours]


def _set_environment(stub: Stub) -> None:
    """Lets children of this process boot from the private cache, on this interpreter.

    Where somebody cleans the cache while a job runs, they find the working directory's `sitecustomize`, and
    make it again: without any, they would run on the node's site-packages.
    """
    environ = os.environ
    boot, archive = f"{stub.PRIVATE}/boot/{environ['RAYBUNDLE_BOOT']}", environ["RAYBUNDLE_ARCHIVE"]
    environ["PYTHONPATH"] = ":".join([boot, archive, *_added_by_the_job(stub, archive)])
    environ["RAYBUNDLE_BOOTED"] = "1"
    binaries = os.path.dirname(sys.executable)
    if environ.get("PATH", "").split(":")[0] != binaries:
        environ["PATH"] = f"{binaries}:{environ.get('PATH', os.defpath)}"


def _set_finders(stub: Stub, module: Any, tree: str) -> None:
    """Resets what finds modules, and drops the modules that the node's `.pth` files imported."""
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
    through = module.see_through(files)
    sys.path_hooks[:] = [through, sys.modules["zipimport"].zipimporter, files]
    for name, loaded in list(sys.modules.items()):
        if not name.startswith(("__main__", "sitecustomize", "raybundle_")) and _is_foreign(stub, loaded):
            del sys.modules[name]


def _is_foreign(stub: Stub, module: object) -> bool:
    file = getattr(module, "__file__", None)
    if file:
        return not stub.is_library(file)
    return hasattr(module, "__path__")  # a namespace package that an `-nspkg.pth` file made


def _chain() -> None:
    """Imports the user's own `sitecustomize`; what it raises is printed and ignored, as Python does."""
    del sys.modules["sitecustomize"]
    try:
        __import__("sitecustomize")
    except Exception:  # noqa: BLE001 - whatever it is
        sys.excepthook(*sys.exc_info())


def _expect_first_entry(role: str, path: list[str], at_first_import: Any) -> None:
    """Makes up for what Python adds to the path after this: the directory of the script that it runs."""
    if getattr(sys.flags, "safe_path", False):
        return
    if role == "worker" or (role == "driver" and sys.argv[0] == "-m"):
        sys.meta_path.insert(0, at_first_import(path))
    elif os.path.exists(sys.argv[0]) and os.path.dirname(os.path.realpath(sys.argv[0])) == path[0]:
        del sys.path[0]  # Python is about to insert it


def _run_verified(verified: Callable[[str], str | None]) -> None:
    """Starts the driver again from the verified copy of its script, if it runs that of the working directory.

    `python job.py` in a job of plain Ray does that. Only the driver is, and before it ran anything: its flags
    are its own, and no `multiprocessing` parent waits for it. Of a relative script that has no such copy the
    path is made absolute: the driver is about to go to the job's own directory.
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
