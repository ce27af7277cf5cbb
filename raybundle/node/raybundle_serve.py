"""Gives each deployment of a Ray Serve application the bundle, in the process that builds the application.

A deployment without a runtime_env gets that of the application. From one with its own, such as `env_vars`,
Serve withholds all but the `working_dir` (ray/serve/_private/build_app.py) unless the configuration lists the
deployment. Its replicas would refuse to run.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

BUILDER = "ray.serve._private.build_app"
"""The module that builds applications."""
MERGE = "_set_default_runtime_env"
"""Its function that gives a deployment the runtime_env of the application."""


def watch() -> None:
    """Changes the builder, now or when Serve imports it."""
    if BUILDER in sys.modules:
        _change(sys.modules[BUILDER])
    elif not any(isinstance(each, _Watcher) for each in sys.meta_path):
        sys.meta_path.insert(0, _Watcher())


class _Watcher:
    """A finder that finds the builder alone."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Returns the spec of the builder, which is changed once it is loaded."""
        if name != BUILDER:
            return None
        sys.meta_path.remove(self)
        spec = next(filter(None, (each.find_spec(name, path, target) for each in sys.meta_path)), None)
        if spec is not None and spec.loader is not None:
            loader: Any = spec.loader
            execute = loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                _change(module)

            loader.exec_module = exec_module
        return spec


def _change(builder: ModuleType) -> None:
    merge = getattr(builder, MERGE, None)
    if merge is None or getattr(merge, "__module__", "") == __name__:
        return  # without it, the replicas of such deployments refuse to run

    def with_bundle(deployment: Any, default: Any) -> Any:
        return merge(_combined(deployment, default), default)

    vars(builder)[MERGE] = with_bundle


def _combined(deployment: Any, default: Any) -> Any:
    """Returns a deployment whose own runtime_env, if it has one, is in addition to that of the bundle.

    Its own variables take precedence, as in plain Ray, but for those of the bundle. One with a `working_dir`
    of its own leaves the bundle, as a task does.
    """
    options = deployment.ray_actor_options or {}
    own = options.get("runtime_env")
    if not own or "working_dir" in own or "RAYBUNDLE_DIGEST" not in ((default or {}).get("env_vars") or {}):
        return deployment
    given = default["env_vars"]
    bundle = {name: value for name, value in given.items() if name.startswith("RAYBUNDLE_")}
    variables = {**given, **(own.get("env_vars") or {}), **bundle}
    return deployment.options(
        ray_actor_options={**options, "runtime_env": {**default, **own, "env_vars": variables}}
    )
