"""Writes a bundle as a resource of KubeRay: RayJob, RayCronJob or RayService (ray.io/v1)."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, cast

from raybundle.bundle.manifest import directory_symbol
from raybundle.bundle.values import ModuleEntry, ScriptEntry
from raybundle.errors import UsageError
from raybundle.formats.yaml_nodes import child, is_mapping, json_in_yaml, make_node, put, read_yaml, yaml_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from yaml import MappingNode, Node

    from raybundle.bundle.values import Manifest
    from raybundle.model import Digest

Kind = Literal["runtime-env", "rayjob", "raycronjob", "rayservice"]
Mode = Literal["HTTPMode", "K8sJobMode", "SidecarMode"]

KINDS: dict[str, tuple[str, int]] = {
    "rayjob": ("RayJob", 47),
    "raycronjob": ("RayCronJob", 36),
    "rayservice": ("RayService", 47),
}
"""Kind, and the longest name: KubeRay appends to it, and a Service's name has 63 characters at most."""
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
"""DNS label of RFC 1035, which KubeRay requires of names."""
KEY = "raybundle/bundle"
"""Label (the start of the digest) and annotation (the whole digest) of each resource."""
LABEL_DIGITS = 40
"""A label has at most 63 characters, and a digest has 64 digits."""
NAME_DIGITS = 12
_WORD = re.compile(r"[\w@%+=:,./-]+", re.ASCII)
"""A word that every shell leaves as it is."""
_OWN_KEYS = ("working_dir", "py_modules", "worker_process_setup_hook")
"""Keys of a runtime_env that the bundle sets."""
_SCHEDULE = re.compile(r"@[a-z]+|@every \S+|[\w*/,?-]+( [\w*/,?-]+){4}", re.ASCII)
"""Five fields or a word, as `cron.ParseStandard` of KubeRay takes them; what is in them is left to it."""
_ZONE = "Europe/Berlin"
_LOOPBACK = ("127.", "localhost", "::1")
_HINTS = {
    "--cluster-spec": "it names a YAML file with a RayCluster, or with its `spec`",
    "--schedule": "write it as cron does, such as `--schedule '0 3 * * *'`",
    "--serve-config": "it names the YAML file with `applications` that `serve build` writes",
}
_MODE = "use HTTPMode, which passes everything on unchanged"


@dataclass(frozen=True, slots=True, repr=False)
class Export:
    """What plain Ray runs a bundle with."""

    bundle: Digest
    runtime_env: dict[str, Any]
    """JSON; it names the store, and holds no credentials."""
    entrypoint: str
    """One line for a shell."""
    manifest: Manifest
    """What identifies the bundle."""
    resource: str | None = None
    """For KubeRay, the YAML of its resource."""

    def __repr__(self) -> str:
        return f"Export(bundle={self.bundle!r}, entrypoint={self.entrypoint!r})"


@dataclass(frozen=True, slots=True)
class Start:
    """How a job of the bundle starts."""

    cwd: str = ""
    """Where, relative to the project."""
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is written, and what a resource is made of beside its bundle."""

    kind: Kind = "runtime-env"
    cluster_spec: str | None = None
    """A YAML file: a RayCluster, or its `spec`."""
    serve_config: str | None = None
    """A YAML file: the applications of a RayService."""
    name: str | None = None
    mode: Mode = "HTTPMode"
    schedule: str | None = None
    time_zone: str | None = None


def check_wanted(wanted: Wanted, start: Start) -> None:
    """Refuses options that do not fit the kind.

    Raises:
        UsageError: one is missing, or would have no effect.
    """
    cron, service = ("raycronjob",), ("rayservice",)
    jobs, resources = ("rayjob", *cron), tuple(KINDS)
    rows: tuple[tuple[str, object, tuple[str, ...], tuple[str, ...]], ...] = (
        ("--cluster-spec", wanted.cluster_spec, resources, resources),
        ("--schedule", wanted.schedule, cron, cron),
        ("--serve-config", wanted.serve_config, service, service),
        ("--time-zone", wanted.time_zone, (), cron),
        ("--mode", wanted.mode != "HTTPMode", (), jobs),
        ("--name", wanted.name, (), resources),
        ("arguments", start.arguments, (), ("runtime-env", *jobs)),
    )
    for option, given, needed, taken in rows:
        if wanted.kind in needed and not given:
            raise UsageError(f"`--format {wanted.kind}` needs `{option}`", hint=_HINTS[option])
        if given and wanted.kind not in taken:
            raise UsageError(f"`--format {wanted.kind}` takes no {option}")
    if wanted.schedule is not None:
        _check_schedule(wanted.schedule)
    if wanted.time_zone is not None:
        _check_zone(wanted.time_zone)


def _check_schedule(schedule: str) -> None:
    if "TZ=" in schedule:
        raise UsageError("the schedule of a RayCronJob names no time zone", hint="use `--time-zone`")
    if not _SCHEDULE.fullmatch(schedule):
        raise UsageError(f"{schedule!r} is not a schedule", hint=_HINTS["--schedule"])


def _check_zone(name: str) -> None:
    """Refuses a name that is none, if this machine has the table of time zones."""
    if _is_zone(_ZONE) and not _is_zone(name):
        raise UsageError(f"there is no time zone {name!r}", hint=f"write it as in `--time-zone {_ZONE}`")


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - start-up: few exports name a zone

    try:
        return bool(ZoneInfo(name).key)
    except (OSError, ValueError, LookupError):
        return False


def render_resource(wanted: Wanted, found: Export, manifest: Manifest, start: Start) -> str:
    """Returns the YAML of a resource; the same for the same bundle and files.

    Args:
        wanted: what `check_wanted` has accepted.
        found: what plain Ray runs the bundle with.
        manifest: of the bundle.
        start: how its job starts.

    Raises:
        UsageError: a file cannot be used, a name breaks KubeRay's rules, or a value would not reach the job
            unchanged.
    """
    cluster = _cluster_spec(Path(wanted.cluster_spec or ""))
    spec: dict[str, Any]
    if wanted.kind == "rayservice":
        config = _serve_config(Path(wanted.serve_config or ""), found.runtime_env)
        spec = {"serveConfigV2": config, "rayClusterConfig": cluster}
    else:
        by_http = wanted.mode == "HTTPMode"
        spec = {
            "submissionMode": wanted.mode,
            "entrypoint": found.entrypoint if by_http else _submitted(wanted.mode, found, manifest, start),
            "runtimeEnvYAML": json_in_yaml(found.runtime_env),
            "metadata": {"raybundle": found.bundle},
            "shutdownAfterJobFinishes": True,
            "rayClusterSpec": cluster,
        }
    if wanted.kind == "raycronjob":
        zone = {"timeZone": wanted.time_zone} if wanted.time_zone else {}
        spec = {"schedule": wanted.schedule, **zone, "jobTemplate": spec}
    head = {
        "name": _name(wanted, found.bundle, manifest),
        "labels": {KEY: found.bundle.removeprefix("sha256:")[:LABEL_DIGITS]},
        "annotations": {KEY: found.bundle},
    }
    kind = KINDS[wanted.kind][0]
    return yaml_text(make_node({"apiVersion": "ray.io/v1", "kind": kind, "metadata": head, "spec": spec}))


def _name(wanted: Wanted, digest: Digest, manifest: Manifest) -> str:
    """Returns the name that was given, or one made of target and digest."""
    kind, longest = KINDS[wanted.kind]
    if wanted.name is not None:
        if not _LABEL.fullmatch(wanted.name):
            raise UsageError(
                f"{wanted.name!r} cannot be the name of a {kind}",
                hint="use lower-case letters, digits and `-`; begin with a letter, and do not end with `-`",
            )
        if len(wanted.name) > longest:
            raise UsageError(
                f"{wanted.name!r} cannot be the name of a {kind}: it has {len(wanted.name)} characters, and "
                f"KubeRay takes at most {longest}"
            )
        return wanted.name
    match manifest.target:
        case ScriptEntry(path=path):
            target = posixpath.splitext(posixpath.basename(path))[0]
        case ModuleEntry(name=target):
            pass
    words = re.sub(r"[^a-z0-9]+", "-", target.lower()).strip("-")
    words = words if _LABEL.fullmatch(words) else f"job-{words}".strip("-")
    digits = digest.removeprefix("sha256:")[:NAME_DIGITS]
    return f"{words[: longest - NAME_DIGITS - 1].rstrip('-')}-{digits}"


def _cluster_spec(file: Path) -> MappingNode:
    """Returns the spec of a RayCluster as its file has it."""
    option = f"--cluster-spec {file}"
    node, value = read_yaml(file, option)
    if isinstance(value, dict) and value.get("kind") == "RayCluster":
        node, value = child(cast("MappingNode", node), "spec"), value.get("spec")
    if not isinstance(value, dict) or "headGroupSpec" not in value:
        raise UsageError(f"{option}: it is neither a RayCluster nor the `spec` of one: no `headGroupSpec`")
    return cast("MappingNode", node)


def _serve_config(file: Path, runtime_env: Mapping[str, Any]) -> str:
    """Returns a Serve configuration whose applications run from the bundle; the rest stays as it is."""
    option = f"--serve-config {file}"
    node, value = read_yaml(file, option)
    applications = value.get("applications") if isinstance(value, dict) else None
    if (
        not isinstance(applications, list)
        or not applications
        or not all(isinstance(each, dict) for each in applications)
    ):
        raise UsageError(f"{option}: it has no `applications`", hint=_HINTS["--serve-config"])
    nodes = cast("Node", child(cast("MappingNode", node), "applications")).value
    for number, (each, application) in enumerate(zip(nodes, applications, strict=True), 1):
        where = f"{option}: application {application.get('name', number)!r}"
        for place in [application, *(application.get("deployments") or [])]:
            refuse_own(place, where)
        _merge(each, {"runtime_env": runtime_env})
    return yaml_text(cast("Node", node))


def absent_applications(wanted: Wanted, manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Returns name and module of each application of a service whose module is no file of the bundle."""
    _, value = read_yaml(Path(wanted.serve_config or ""), f"--serve-config {wanted.serve_config}")
    files = [f"/{file.path}" for file in manifest.files]
    for number, application in enumerate(value["applications"], 1):
        module = str(application.get("import_path", "")).partition(":")[0]
        ends = tuple(f"/{module.replace('.', '/')}{each}" for each in (".py", "/__init__.py"))
        if not any(file.endswith(ends) for file in files):
            yield str(application.get("name", number)), module


def pods_without(directory: PurePosixPath, wanted: Wanted) -> list[str]:
    """Returns each group of pods that have nothing mounted at a directory or above it."""
    return [name for name, pod in _pods(wanted.cluster_spec) if not _mounts(pod, directory)]


def loopback_host(wanted: Wanted) -> str | None:
    """Returns the host on which Serve would listen to its own pod only, if there is one."""
    options = wanted.serve_config and _meaning(wanted.serve_config).get("http_options")
    host = str(options.get("host")) if isinstance(options, dict) else ""
    return host if host.startswith(_LOOPBACK) else None


def _meaning(file: str | None) -> dict[str, Any]:
    """Returns what a file means that is known to be a mapping."""
    return cast("dict[str, Any]", read_yaml(Path(file or ""), str(file))[1])


def _pods(cluster_spec: str | None) -> Iterator[tuple[str, Any]]:
    """Yields name and template of each group of pods."""
    cluster = _meaning(cluster_spec)
    cluster = cluster["spec"] if cluster.get("kind") == "RayCluster" else cluster
    workers = cluster.get("workerGroupSpecs")
    for each in [cluster["headGroupSpec"], *(workers if isinstance(workers, list) else ())]:
        if isinstance(each, dict):
            yield str(each.get("groupName", "headGroupSpec")), each.get("template")


def _mounts(pod: Any, path: PurePosixPath) -> bool:
    """Returns whether the first container, which has Ray, has a volume at a path or above it."""
    try:
        mounts = pod["spec"]["containers"][0].get("volumeMounts") or ()
        return any(path.is_relative_to(each["mountPath"]) for each in mounts)
    except (LookupError, TypeError, AttributeError):  # KubeRay says what is wrong
        return False


def _merge(node: MappingNode, values: Mapping[str, Any]) -> None:
    """Sets the values of a mapping, and of mappings in it; what else is there stays."""
    for key, value in values.items():
        there = child(node, key)
        if isinstance(value, dict) and is_mapping(there):
            _merge(there, value)
        else:
            put(node, key, make_node(value))


def refuse_own(value: Any, where: str) -> None:
    """Refuses an application or a deployment of Ray Serve whose runtime_env would take it out of the bundle.

    Raises:
        UsageError: names the key.
    """
    table = value if isinstance(value, dict) else {}
    if "ray_actor_options" in table:
        refuse_own(table["ray_actor_options"], where)
    if found := [key for key in _OWN_KEYS if key in (table.get("runtime_env") or ())]:
        raise UsageError(
            f"{where} has a runtime_env with `{found[0]}`, which the bundle sets",
            hint="remove it: the bundle has the application's code",
        )


def _submitted(mode: Mode, found: Export, manifest: Manifest, start: Start) -> str:
    """Returns an entrypoint that stays the same in the shell line of KubeRay's submitter.

    That line has the runtime_env between double quotes, as Go writes a string, and the entrypoint without.
    The boot puts the bundle's Python first on PATH, and the job starts in a copy of the project.
    """
    match manifest.target:
        case ScriptEntry(path=path) if path.startswith("project/"):
            own = () if directory_symbol(path) in manifest.path else ("-P",)
            words = ["python", *own, posixpath.relpath(path.removeprefix("project/"), start.cwd or ".")]
        case ScriptEntry():
            raise UsageError(f"{mode} cannot name a target outside the project", hint=_MODE)
        case ModuleEntry(name=name):
            words = ["python", "-m", name]
    words += start.arguments
    for word in words:
        if not _WORD.fullmatch(word):
            raise UsageError(f"{mode}: a shell would change the argument {word!r}", hint=_MODE)
    sent = {**found.runtime_env["env_vars"], "working_dir": found.runtime_env["working_dir"]}
    for name, value in sent.items():
        if any(each in "$`" or (each > "~" and not each.isprintable()) for each in name + value):
            raise UsageError(f"{mode}: a shell would change {name} of the runtime_env", hint=_MODE)
    return " ".join(words)
