"""Combines the runtime_env that a driver passes to `ray.init` with what the bundle needs in each worker.

Ray merges the driver's runtime_env over the job's (`RAY_OVERRIDE_JOB_RUNTIME_ENV`) and passes the result to
`RAY_RUNTIME_ENV_HOOK` (`init` in ray/_private/worker.py). The boot sets both variables. A process loads this
file when it calls `ray.init`, and a worker if it starts with a hook or in another directory than the job.
"""

from __future__ import annotations

import functools
import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    RuntimeEnv = dict[str, Any]

HOOK = "worker_process_setup_hook"
HOOK_VARIABLE = "__RAY_WORKER_PROCESS_SETUP_HOOK_ENV_VAR"
"""The variable in which a worker gets its hook. Ray refuses a runtime_env that sets it (ray_constants.py)."""
START = "RAYBUNDLE_START"
"""The directory in which workers start, relative to the project, if it differs from the job's."""
SUBMITTED_HOOK = "RAYBUNDLE_HOOK"
"""The name of the hook in the submitted runtime_env."""
READY = "raybundle_boot.ready"
"""The bundle's own hook. A job has none if it was submitted with a part of the bundle's runtime_env."""
SEARCHED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONPYCACHEPREFIX")
"""Variables that the boot sets or fixes: a copy of the driver's value is not a request of the user."""


def merge(merged: Mapping[str, Any] | None, text: str | None, boot: Any) -> Any:
    """Returns the runtime_env of this driver's tasks and actors.

    Args:
        merged: Ray's result: the driver's fields and variables have replaced the job's.
        text: the job's configuration as JSON, as the supervisor passed it.
        boot: the module `raybundle_boot`.

    Raises:
        RuntimeError: the driver asks for code from outside the bundle.
    """
    asked: RuntimeEnv = {name: value for name, value in (merged or {}).items() if value is not None}
    job: RuntimeEnv = json.loads(text or "{}").get("runtime_env") or {}
    if "RAYBUNDLE_DIGEST" not in job.get("env_vars", {}):
        return merged
    start = _start_of(asked.get("working_dir", job["working_dir"]), job["working_dir"])
    _check_modules(asked.get("py_modules"), job.get("py_modules"))
    variables = _variables({**job["env_vars"], **asked.get("env_vars", {})}, job["env_vars"], boot.secrets)
    if start:
        variables[START] = start
    ready = job.get(HOOK, READY)
    hook = asked.get(HOOK, ready)
    code = ("working_dir", "py_modules")
    return {
        **{name: value for name, value in {**job, **asked}.items() if name not in code},
        **{name: job[name] for name in code if name in job},
        "env_vars": variables,
        HOOK: hook if hook == ready else _after(boot.ready, hook),
    }


def _variables(
    merged: Mapping[str, Any], job: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the variables of tasks and actors: the bundle's own as in the job, secrets as references."""
    copied = {name for name in SEARCHED if merged.get(name) == os.environ.get(name)}
    variables = {
        name: value
        for name, value in merged.items()
        if name not in copied and name != HOOK_VARIABLE and not name.startswith("RAYBUNDLE_")
    }
    for name, secret in secrets.items():
        if variables.get(name) == secret:
            del variables[name]
            if name in job:
                variables[name] = job[name]
    variables.update((name, value) for name, value in job.items() if name.startswith("RAYBUNDLE_"))
    return variables


def _after(ready: Callable[..., None], hook: Any) -> Any:
    """Returns a hook that runs the bundle's own hook, which then runs the driver's.

    A worker unpickles its hook before it checks the bundle, so the driver's hook is in it as bytes.
    """
    if not (callable(hook) or isinstance(hook, str)):
        return hook  # Ray refuses it
    both: Any = functools.partial(ready, sys.modules["ray"].cloudpickle.dumps(hook))
    both.__name__ = hook if isinstance(hook, str) else getattr(hook, "__name__", type(hook).__name__)
    return both


def _start_of(asked: Any, job: str) -> str:
    """Returns the directory that `working_dir` asks for, relative to the project; empty for the job's own."""
    if asked == job:
        return ""
    inside = _inside(asked)
    if inside == os.environ.get("RAYBUNDLE_CWD", "."):
        return ""
    if inside is None or not os.path.isdir(f"{_tree()}/{inside}"):
        raise RuntimeError(
            f"raybundle: `working_dir` {asked} of ray.init is not a directory of the bundle, and tasks see "
            "only the bundle: remove it, and name what they need in `roots` or `include` of [tool.raybundle]"
        )
    return inside


def _check_modules(asked: Any, job: Any) -> None:
    """Refuses `py_modules` that are not on the bundle's path."""
    for module in asked if asked and asked != job else ():
        inside = _inside(module)
        place = inside is not None and os.path.normpath(f"{_tree()}/{inside}")
        if not place or os.path.dirname(place) not in sys.path or not os.path.exists(place):
            raise RuntimeError(
                f"raybundle: {module} in `py_modules` of ray.init is not on the path of the bundle: remove "
                "it, and name the directory that contains it in `roots` of [tool.raybundle]"
            )


def _tree() -> str:
    return f"{os.environ['RAYBUNDLE_TREE']}/project"


def _inside(asked: Any) -> str | None:
    """Returns `asked` relative to the project, in the scratch or the tree; None if it is outside of both."""
    if not isinstance(asked, (str, os.PathLike)) or "://" in str(asked):
        return None
    path = os.path.realpath(asked)
    for root in (os.path.realpath(os.environ["RAYBUNDLE_SCRATCH"]), os.path.realpath(_tree())):
        if path == root or path.startswith(f"{root}/"):
            return os.path.relpath(path, root)
    return None


def begin(driver_hook: bytes) -> None:
    """Enters the directory and runs the hook that the runtime_env asks for, in a checked worker.

    Args:
        driver_hook: pickle of the driver's hook, which replaces the submitted one; empty if there is none.
    """
    if START in os.environ:
        os.chdir(f"{os.environ['RAYBUNDLE_SCRATCH']}/{os.environ[START]}")
    ray: Any = sys.modules["ray"]
    hook = ray.cloudpickle.loads(driver_hook) if driver_hook else os.environ.get(SUBMITTED_HOOK)
    if isinstance(hook, str):
        hook = ray._common.utils.load_class(hook)
    if hook:
        hook()
