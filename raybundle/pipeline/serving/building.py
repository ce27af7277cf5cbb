"""Builds a bundle for each application, and the configuration by which Ray Serve runs them."""

from __future__ import annotations

import ast
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from raybundle.cluster.runtime_env import HOOK, SECRETS
from raybundle.cluster.secrets import refuse_literals
from raybundle.errors import BundleError, UsageError
from raybundle.formats.amounts import counted, size_text
from raybundle.formats.nearest import did_you_mean
from raybundle.model import ModuleName, ModuleTarget
from raybundle.pipeline.exporting import check_signed, exported_env
from raybundle.planning import checked_plan
from raybundle.publish.bundles import find_bundle, name_bundle, open_configured, store_plan
from raybundle.publish.layout import check_name
from raybundle.publish.trust.policy import trust_of
from raybundle.request import prepare
from raybundle.submission.asking import ask
from raybundle.submission.ray_environment import check_hook, read_ray_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from raybundle.bundle.values import Manifest
    from raybundle.model import Resolution
    from raybundle.pipeline.serving.configuration import Entry, Wanted
    from raybundle.planning import Listener
    from raybundle.request import Prepared, Request
    from raybundle.store.base import Store
    from raybundle.submission.asking import Given
    from raybundle.submission.ray_environment import RayEnvironment

_HIDING = ("exec", "eval", "globals", "locals", "setattr", "vars", "__getattr__")
"""Names by which a module may get attributes that its text does not show."""
_RENDERED = ("working_dir", "env_vars", "worker_process_setup_hook")
"""Keys of a runtime_env that are made from the bundle."""


@dataclass(frozen=True, slots=True)
class Options:
    """How bundles of applications are made."""

    given: Given
    runtime_env: str | None = None
    """Path of a YAML file."""
    runtime_env_json: str | None = None
    working_dir: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Destination:
    """What is known about the cluster for which bundles are made; by default nothing."""

    prepare: Callable[[Request], Prepared] = prepare
    require: Callable[[Manifest, Store], None] = lambda _manifest, _store: None
    """Refuses a bundle that its nodes cannot run, or a store that they cannot read."""


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """A configuration of Ray Serve whose applications run from bundles."""

    document: dict[str, Any] = field(repr=False)
    """By Serve's ServeDeploySchema."""
    bundles: dict[str, str]
    """The digest of each application's bundle, by name."""

    @property
    def applications(self) -> tuple[Mapping[str, Any], ...]:
        """Its applications; the same for the same bundles and options, so that Serve leaves them alone."""
        return tuple(self.document["applications"])

    def text(self, *, as_json: bool = False) -> str:
        """Returns it as YAML or JSON; the same bytes for the same bundles and options."""
        if as_json:
            return json.dumps(self.document, indent=2, ensure_ascii=False) + "\n"
        dump: Callable[..., str] = yaml.safe_dump
        return dump(self.document, sort_keys=False, allow_unicode=True, width=1 << 30)


def build_config(
    wanted: Wanted, options: Options, listener: Listener, destination: Destination = Destination()
) -> ServeConfig:
    """Returns the configuration of applications, once their bundles are in the store.

    An application that has a bundle already stays as it is.

    Args:
        wanted: the applications.
        options: how their bundles are made.
        listener: hears how far it is.
        destination: what is known about the cluster that shall run them.

    Raises:
        UsageError: an option has no effect or is wrong, or nodes cannot read from the store.
        BundleError: an application cannot be bundled, or a node cannot run it.
        StoreError: the store cannot be used, or a node cannot read from it.
    """
    given = [options.runtime_env, options.runtime_env_json]
    if wanted.is_file and any(given):
        raise UsageError(
            "--runtime-env has no effect on a configuration file",
            hint="write `runtime_env` below the application in the file",
        )
    made = [
        (_checked(each, each.bundle, options.given, listener), each.bundle)
        if each.bundle
        else _build(each, options, listener, destination)
        for each in wanted.entries
    ]
    bundles = {each.name: digest for each, (_, digest) in zip(wanted.entries, made, strict=True)}
    return ServeConfig({**wanted.others, "applications": [dict(values) for values, _ in made]}, bundles)


def _checked(entry: Entry, digest: str, given: Given, listener: Listener) -> dict[str, Any]:
    """Returns the values of an application that has a bundle already, if the bundle may be used.

    If signatures are required, what makes nodes run the bundle is what the store has, not what the file says.
    """
    settings = given.settings()
    trust, store = trust_of(settings, given.environ), open_configured(settings, given.environ)
    runtime_env = entry.values["runtime_env"]
    if not trust.required:
        url, own = str(runtime_env.get("working_dir")), store.node_url("bundles")
        if own is not None and url.startswith(own):
            find_bundle(store, digest)
        return dict(entry.values)
    stored = trust.find(store, digest)
    check_signed(stored, store, listener)
    variables = runtime_env["env_vars"]
    env = {name: value for name, value in variables.items() if not name.startswith("RAYBUNDLE_")}
    passed = {key: value for key, value in runtime_env.items() if key not in _RENDERED}
    if HOOK in variables:
        passed["worker_process_setup_hook"] = variables[HOOK]
    made = exported_env(stored, store, env, cwd=variables.get("RAYBUNDLE_CWD", ""), passed=passed)
    if SECRETS in variables:
        made["env_vars"][SECRETS] = variables[SECRETS]
    return {**entry.values, "runtime_env": made}


def _build(
    entry: Entry, options: Options, listener: Listener, destination: Destination
) -> tuple[dict[str, Any], str]:
    """Returns the values of an application with the runtime_env of its bundle, and the bundle's digest."""
    request, environment = _request(entry, options)
    store = open_configured(request.settings, request.environ)
    env = {**environment.env, **request.settings.table("env")}
    refuse_literals(env)
    listener.warnings(request.warnings)
    planned = checked_plan(destination.prepare(request), listener, strict=options.strict)
    _require_attribute(entry, planned.resolution)
    signed = trust_of(request.settings, request.environ).signatures(
        store, planned.digest, planned.manifest_bytes
    )
    check_hook(environment.passed, planned.resolution)
    destination.require(planned.manifest, store)
    stored = name_bundle(store, store_plan(planned, store, listener), request.settings, listener)
    stored = replace(stored, signatures=signed)
    check_signed(stored, store, listener)
    runtime_env = exported_env(
        stored,
        store,
        env,
        cwd=request.start(options.cwd),
        secrets=options.secrets,
        passed=environment.passed,
    )
    named = f" {stored.name}" if stored.name else ""
    sizes = f"{counted(len(planned.files), 'file')}, {size_text(stored.uploaded_bytes)} new"
    listener.note(f"application {entry.name}: bundle {stored.digest}{named} ({sizes})")
    return {**entry.values, "runtime_env": runtime_env}, stored.digest


def _request(entry: Entry, options: Options) -> tuple[Request, RayEnvironment]:
    own = entry.values.get("runtime_env")
    text = json.dumps(own) if own else options.runtime_env_json
    given = options.given
    named = entry.where if own else None
    environment = read_ray_environment(options.runtime_env, text, options.working_dir, given.cwd, named)
    flags = {**given.flags, "name": _bundle_name(entry)}
    target = ModuleTarget(ModuleName(entry.module), imported=True)
    return ask(target, (), replace(given, flags=flags), environment, traces=False), environment


def _bundle_name(entry: Entry) -> str | None:
    """Returns the name of which the bundle becomes a version: `gc` keeps what has one.

    It is the application's, if the user chose one that stores take as well; else that of its module.
    """
    if entry.named:
        with suppress(UsageError):
            return check_name(entry.name)
    with suppress(UsageError):
        return check_name(f"serve-{entry.module}")
    return None


def _require_attribute(entry: Entry, resolution: Resolution) -> None:
    """Refuses an application whose module shows that it has no such attribute."""
    module = next((each for each in resolution.modules if each.name == entry.module), None)
    if module is None or module.file is None or Path(module.file).suffix != ".py":
        return
    tree = ast.parse(Path(module.file).read_bytes())
    words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names = set(_bound(tree))
    first = entry.attribute.partition(".")[0]
    if first not in names and "*" not in names and not words.union(names).intersection(_HIDING):
        raise BundleError(
            f"{entry.where}: {module.file} has no `{first}`",
            hint=did_you_mean(first, [each for each in names if not each.startswith("_")]),
        )


def _bound(tree: ast.Module) -> Iterator[str]:
    """Yields each name that a module may bind, those of its functions included; `*` for `import *`."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from ((each.asname or each.name).partition(".")[0] for each in names)
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name
            case _:
                continue
