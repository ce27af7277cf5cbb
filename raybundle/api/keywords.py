"""The keyword arguments of the library, and what is wrong with those that a call gives."""

from __future__ import annotations

import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict

from raybundle.errors import UsageError
from raybundle.formats.nearest import did_you_mean

PathText = str | os.PathLike[str]
_Call = typing.TypeVar("_Call", bound=Callable[..., Any])


class StoreKeywords(TypedDict, total=False):
    """Where bundles are kept, and who hears of progress."""

    store: PathText | None
    """Where bundles are kept: a URL or a directory."""
    profile: str | None
    """A profile of the configuration."""
    notify: Callable[[str], object] | None
    """Takes progress and warnings, a line at a time."""


class TrustKeywords(StoreKeywords, total=False):
    """Whose signature a bundle needs."""

    require_signature: bool | None
    """Refuses a bundle that no trusted key has signed."""
    trusted_keys: Sequence[PathText] | None
    """Public keys that are trusted, or PEM files with one."""


class ResolveKeywords(StoreKeywords, total=False):
    """What a target is resolved with."""

    module: bool
    """The target is the name of a module, as for `python -m`."""
    python: PathText | None
    """The target interpreter: a path, or the version of the nodes, such as `3.12`."""
    platform: str | None
    """The platform of the nodes, such as `linux` or `aarch64-manylinux_2_28`."""
    roots: Sequence[PathText] | None
    """More source roots."""
    include: Sequence[str] | None
    """Globs of files that travel as well."""
    exclude: Sequence[str] | None
    """Globs of data files that do not travel."""
    data: Literal["needed", "tracked"] | None
    """`tracked` bundles all data that git does not ignore; `working_dir` makes it the default."""
    rules: Mapping[str, bool] | None
    """Rules of the resolution to switch on or off."""
    optional: Sequence[str] | None
    """Modules without which the job runs."""
    dependencies: Literal["bundle", "cluster"] | None
    """What brings distributions to the nodes."""
    cluster_provides: Sequence[str] | None
    """Distributions that the cluster has."""
    env: Mapping[str, str] | None
    """Environment variables of the job."""
    working_dir: PathText | None
    """The project; the target is looked up there."""
    runtime_env: Mapping[str, Any] | PathText | None
    """A runtime_env of Ray, or the path of its YAML file."""
    strict: bool
    """Makes warnings errors."""
    max_bytes: int | str | None
    """The most bytes that the bundle may have, or a size such as `50 MiB`."""
    max_distributions: int | None
    """The most distributions that may travel."""
    forbid: Sequence[str] | None
    """Modules and distributions that must not be in the bundle."""


class BundleKeywords(ResolveKeywords, total=False):
    """What is in a bundle."""

    trace: bool
    """Runs the target's module body here, and adds what it imports."""


class BuildKeywords(BundleKeywords, total=False):
    """What is in a bundle, and its name."""

    name: str | None
    """Records the bundle as a version of this name: the next one if it is new to the name."""


class RuntimeEnvKeywords(BuildKeywords, total=False):
    """What the workers of a driver outside the Jobs API import from."""

    ref: str | None
    """Instead of a target, a bundle of the store."""


class TraceKeywords(ResolveKeywords, total=False):
    """What is run here, and what of earlier runs stays."""

    keep: bool
    """What earlier runs imported and opened stays in the lock file."""


class ExportKeywords(TrustKeywords, total=False):
    """What an exported bundle runs with."""

    env: Mapping[str, str] | None
    """Environment variables of the job."""
    cwd: str | None
    """Where the job starts, relative to the project's root."""
    kind: Literal["runtime-env", "rayjob", "raycronjob", "rayservice"] | None
    """A resource of KubeRay to write; `runtime-env`, the default, writes none."""
    cluster_spec: PathText | None
    """A YAML file with a RayCluster, or with its `spec`."""
    name: str | None
    """The name of the resource."""
    mode: Literal["HTTPMode", "K8sJobMode", "SidecarMode"] | None
    """How KubeRay submits the job."""
    schedule: str | None
    """When a RayCronJob runs, as cron writes it."""
    time_zone: str | None
    """The time zone of the schedule."""
    serve_config: PathText | None
    """A YAML file with the applications of a RayService."""


class LocalKeywords(TypedDict, total=False):
    """The embedded cluster, if it has to start."""

    python: PathText | None
    """The interpreter that runs it: a path, or a version such as `3.12`."""
    num_cpus: int | None
    """CPUs; Ray counts them if this is not given."""
    object_store_memory: int | None
    """Bytes of its object store."""


class ClusterKeywords(TypedDict, total=False):
    """Which cluster, and how it is reached."""

    address: str | None
    """URL of the cluster's dashboard; the embedded cluster if none is configured."""
    profile: str | None
    """A profile of the configuration."""
    headers: Mapping[str, str] | None
    """Sent with each request."""
    verify: bool | PathText | None
    """Whether the server's certificate is checked, or the certificates to trust."""
    client_cert: PathText | None
    """Your certificate, in PEM."""
    client_key: PathText | None
    """Its key, if that is another file."""


class ReportKeywords(BundleKeywords, ClusterKeywords, total=False):
    """What a report is about."""

    ref: str | None
    """Instead of a target, a bundle of the store, or a run of one."""
    against: str | None
    """A revision or a stored bundle: what has changed since."""
    nodes: bool
    """Shows also the path of every process on the nodes: stores the bundle, and asks as `path` does."""


class AttachKeywords(ClusterKeywords, total=False):
    """Which cluster, and where the result of a function may be."""

    store: PathText | None
    """Where the bundle of the job is kept: a URL or a directory."""


class DoctorKeywords(BundleKeywords, ClusterKeywords, total=False):
    """Which cluster, and what it is to run."""

    ref: str | None
    """Instead of a target, a bundle of the store."""


class PathKeywords(DoctorKeywords, total=False):
    """Which cluster, what is to run on it, and how."""

    plain: bool
    """Shows what plain Ray does with the target's directory."""
    imports: str | None
    """The one module to ask for."""


class JobKeywords(TrustKeywords, ClusterKeywords, total=False):
    """What a job is besides its bundle."""

    env: Mapping[str, str] | None
    """Environment variables of the job."""
    secrets: Mapping[str, str] | None
    """References to secrets by environment variable: `file:/path` or `env:NAME`, read by each node."""
    record_env: Sequence[str] | None
    """Names and globs of variables whose values the record of the run may have."""
    save_logs: bool
    """Keeps the log in the store once `Job.wait` has seen the end."""
    submission_id: str | None
    """Instead of a new id."""
    if_exists: Literal["attach", "fail", "new"] | None
    """If the cluster has a job of that id: follow it if it is the same, fail, or take another id."""
    metadata: Mapping[str, str] | None
    """Metadata of the job."""
    entrypoint_num_cpus: float | None
    """CPUs of the driver."""
    entrypoint_num_gpus: float | None
    """GPUs of the driver."""
    entrypoint_memory: int | None
    """Bytes of memory of the driver."""
    entrypoint_resources: Mapping[str, float] | None
    """Custom resources of the driver."""
    entrypoint_label_selector: Mapping[str, str] | None
    """Labels of the driver's node."""
    cwd: str | None
    """Where the job starts, relative to the project's root."""
    check: bool
    """Examines the cluster first, as `doctor` does; what fails is an error."""


class RunKeywords(JobKeywords, total=False):
    """How a stored bundle is run."""

    python: PathText | None
    """The interpreter of the embedded cluster, if that has to start."""


class SubmitKeywords(BuildKeywords, JobKeywords, total=False):
    """What is in a bundle, and what its job is besides that."""


class ServeKeywords(ResolveKeywords, TrustKeywords, ClusterKeywords, total=False):
    """What applications of Ray Serve are besides their code."""

    name: str | None
    """The name of the one application; its bundle becomes a version of that name."""
    route_prefix: str | None
    """Where the one application takes requests."""
    secrets: Mapping[str, str] | None
    """As for a job: references by environment variable, read by each node."""
    cwd: str | None
    """Where replicas start, relative to the project's root."""
    wait: bool
    """Whether `deploy` returns only when all applications run, which is the default."""
    timeout: float | None
    """Seconds after which `deploy` waits no longer."""


class WaitKeywords(TypedDict, total=False):
    """How long a job is followed, and how often it is submitted again."""

    timeout: float | None
    """Seconds after which a job without an end is stopped."""
    start_timeout: float | None
    """Seconds after which a job whose driver has not started is stopped."""
    retries: int
    """How often a failed job is submitted again."""


_SECRET = frozenset(["env", "secrets", "headers", "runtime_env", "metadata"])
"""Keywords whose values a message never shows."""


def takes(keywords: type) -> Callable[[_Call], _Call]:
    """Returns what makes a function refuse wrong arguments, and shows its keywords to `help`.

    Args:
        keywords: a TypedDict of this module, the type of the function's `**options`.
    """

    def decorate(function: _Call) -> _Call:
        whole = inspect.signature(function)

        @functools.wraps(function)
        def checked(*arguments: Any, **options: Any) -> Any:
            try:
                whole.bind(*arguments, **options)
            except TypeError as error:
                hint = "the arguments of a job are one list"
                raise UsageError(f"the call of `{function.__name__}` is wrong: {error}", hint=hint) from error
            check(options, keywords)
            return function(*arguments, **options)

        own = [each for each in whole.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
        more = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)
            for name, hint in typing.get_type_hints(keywords).items()
        ]
        vars(checked)["__signature__"] = whole.replace(parameters=[*own, *more])
        return typing.cast("_Call", checked)

    return decorate


def check(given: Mapping[str, object], known: type) -> None:
    """Refuses keywords that do not exist, and values of another type; None means not given.

    Args:
        given: keywords of a call, with their values.
        known: a TypedDict of this module.

    Raises:
        UsageError: names the keyword, and what it takes.
    """
    hints = typing.get_type_hints(known)
    for name, value in given.items():
        if name not in hints:
            raise UsageError(f"there is no argument `{name}`", hint=did_you_mean(name, hints))
        if value is not None:
            require(name, value, hints[name])
        if isinstance(value, (int, float)) and value < 0:
            raise UsageError(f"`{name}` is {value}, and must not be negative")


def plain(value: Any) -> Any:
    """Returns a value of a keyword as the configuration has it: text, lists and tables."""
    match value:
        case os.PathLike():
            return os.fspath(value)
        case Mapping():
            return dict(value)
        case str() | bytes():
            return value
        case Sequence():
            return [plain(each) for each in value]
        case _:
            return value


def require(name: str, value: object, hint: Any) -> None:
    """Refuses a value of another type than an argument has.

    Raises:
        UsageError: names the argument and what it takes; a value that may be a secret is not shown.
    """
    if _fits(value, hint):
        return
    shown = repr(value)
    if name in _SECRET:
        odd = value.items() if isinstance(value, Mapping) else ()
        types_of = [f"{key!r}: {type(each).__name__}" for key, each in odd if not isinstance(each, str)]
        shown = f"{{{', '.join(types_of)}}}" if types_of else type(value).__name__
    example = None
    if any(typing.get_origin(each) is Sequence for each in (hint, *typing.get_args(hint))):
        if isinstance(value, (str, os.PathLike)):
            example = f"write {name}=[{os.fspath(value)!r}]"
        elif isinstance(value, Sequence):
            example = f"write {name}={[each if isinstance(each, str) else str(each) for each in value]}"
    raise UsageError(f"`{name}` must be {_words(hint)}, and is {shown}", hint=example)


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of a type; only the forms that the keywords of this module use."""
    origin, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin is Sequence:
        listed = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
        return listed and all(_fits(each, inner[0]) for each in typing.cast("Sequence[object]", value))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(
            _fits(key, inner[0]) and _fits(each, inner[1]) for key, each in value.items()
        )
    if hint is Any:
        return True
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, origin)


_WORDS = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    os.PathLike: "a path",
    Mapping: "a mapping",
}


def _words(hint: Any) -> str:
    """Returns what a type means to a caller."""
    origin, inner = typing.get_origin(hint) or hint, typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(_words(each) for each in inner if each is not type(None)))
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin is Sequence:
        return "a list of strings" if inner[0] is str else "a list of strings or paths"
    if origin is Mapping and inner[0] is str and inner[1] is str:
        return "a mapping of strings to strings"
    return _WORDS.get(origin, "a function")
