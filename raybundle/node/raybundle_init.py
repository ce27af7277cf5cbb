"""Combines what a driver asks of `ray.init(runtime_env=…)` with what the bundle needs in each worker.

Ray merges the driver's runtime_env over the job's (`RAY_OVERRIDE_JOB_RUNTIME_ENV`) and hands the result to
`RAY_RUNTIME_ENV_HOOK` (`init` in ray/_private/worker.py); the boot sets both. A process loads this file when
it calls `ray.init`; a worker only if it has a hook or a directory of its own to start with.
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
"""Where Ray keeps the hook in a worker; it refuses a runtime_env that sets it (ray_constants.py)."""
START = "RAYBUNDLE_START"
"""The directory of the project in which workers start, if it is not that in which the job does."""
SUBMITTED_HOOK = "RAYBUNDLE_HOOK"
"""The hook of the submitted runtime_env, by its name."""
READY = "raybundle_boot.ready"
"""The bundle's own hook; a job that is submitted with a part of a bundle's runtime_env has none."""
SEARCHED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONPYCACHEPREFIX")
"""Variables that the boot sets or fixes: copies of them say nothing."""


def merge(merged: Mapping[str, Any] | None, text: str | None, boot: Any) -> Any:
    """Returns the runtime_env of this driver's tasks and actors: the driver's over the job's, in the bundle.

    Args:
        merged: by Ray; the driver's fields and variables have replaced those of the job.
        text: JSON of the job's configuration, as the supervisor has passed it.
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
    ours = {name: job[name] for name in ("working_dir", "py_modules") if name in job}
    rest = {
        name: value for name, value in {**job, **asked}.items() if name not in ("working_dir", "py_modules")
    }
    return {
        **rest,
        **ours,
        "env_vars": variables,
        HOOK: hook if hook == ready else _after(boot.ready, hook),
    }


def _variables(
    merged: Mapping[str, Any], job: Mapping[str, str], secrets: Mapping[str, str]
) -> dict[str, Any]:
    """Returns the variables; the bundle's are the job's, and secrets stay references."""
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
    """Returns what a worker runs: the bundle's hook, which runs the driver's when the worker is checked.

    A worker unpickles it before it runs it. So the driver's is in it as bytes.
    """
    if not (callable(hook) or isinstance(hook, str)):
        return hook  # Ray says what it takes
    both: Any = functools.partial(ready, sys.modules["ray"].cloudpickle.dumps(hook))
    both.__name__ = hook if isinstance(hook, str) else getattr(hook, "__name__", type(hook).__name__)
    return both


def _start_of(asked: Any, job: str) -> str:
    """Returns the directory that a `working_dir` means, relative to the project; empty for the job's own."""
    if asked == job:
        return ""
    inside = _inside(asked)
    if inside == os.environ.get("RAYBUNDLE_CWD", "."):
        return ""
    if inside is None or not os.path.isdir(f"{_tree()}/{inside}"):
        raise RuntimeError(
            f"raybundle: `working_dir` {asked} of ray.init is not a directory of the bundle, and tasks have "
            "nothing else: leave it out, and name what they need in `roots` or `include` of [tool.raybundle]"
        )
    return inside


def _check_modules(asked: Any, job: Any) -> None:
    """Refuses `py_modules` that the bundle's path does not have."""
    for module in asked if asked and asked != job else ():
        inside = _inside(module)
        place = inside is not None and os.path.normpath(f"{_tree()}/{inside}")
        if not place or os.path.dirname(place) not in sys.path or not os.path.exists(place):
            raise RuntimeError(
                f"raybundle: {module} in `py_modules` of ray.init is not on the path of the bundle: leave it "
                "out, and name the directory that holds it in `roots` of [tool.raybundle]"
            )


def _tree() -> str:
    return f"{os.environ['RAYBUNDLE_TREE']}/project"


def _inside(asked: Any) -> str | None:
    """Returns the path relative to the project, if it is one in it as the driver sees the project."""
    if not isinstance(asked, (str, os.PathLike)) or "://" in str(asked):
        return None
    path = os.path.realpath(asked)
    for root in (os.path.realpath(os.environ["RAYBUNDLE_SCRATCH"]), os.path.realpath(_tree())):
        if path == root or path.startswith(f"{root}/"):
            return os.path.relpath(path, root)
    return None


def begin(theirs: bytes) -> None:
    """Starts a checked worker as the runtime_env asks: in its directory, with its hook.

    Args:
        theirs: pickle of the driver's hook, which wins over the submitted one; empty without one.
    """
    if START in os.environ:
        os.chdir(f"{os.environ['RAYBUNDLE_SCRATCH']}/{os.environ[START]}")
    ray: Any = sys.modules["ray"]
    hook = ray.cloudpickle.loads(theirs) if theirs else os.environ.get(SUBMITTED_HOOK)
    if isinstance(hook, str):
        hook = ray._common.utils.load_class(hook)
    if hook:
        hook()
