"""Many drivers in one: each round calls `ray.init` as people write it, and says what its tasks saw."""

import json
import os
import subprocess
import sys
from pathlib import Path

import ray
from ray.runtime_env import RuntimeEnv

from seen import OURS, look, seen

HERE = Path(__file__).resolve().parent


def mark():
    import sys

    os.environ["CONFIGURED"] = "callable after " + str("raybundle_boot" in sys.modules)


def failed(**arguments):
    try:
        look(**arguments)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def with_tasks_of_their_own():
    """A copy of the environment for a task, an actor, and a task of a task."""
    ray.init(runtime_env={"env_vars": {"LEVEL": "of the driver"}})
    os.environ["MY_FLAG"] = "task"
    env = {"env_vars": dict(os.environ)}
    task = ray.remote(seen)
    actor = ray.remote(type("Actor", (), {"seen": lambda self: seen()}))

    @ray.remote
    def nested():
        return ray.get(ray.remote(seen).options(runtime_env={"env_vars": dict(os.environ)}).remote())

    @ray.remote
    def child():
        words = "import json, sys, seen; print(json.dumps([sys.path, seen.__file__]))"
        return json.loads(subprocess.check_output([sys.executable, "-c", words]))

    try:
        return ray.get(
            [
                task.options(runtime_env=env).remote(),
                actor.options(runtime_env=env).remote().seen.remote(),
                nested.remote(),
                child.options(runtime_env=env).remote(),
            ]
        )
    finally:
        ray.shutdown()


def with_a_wheel(wheel):
    """A task with `pip` and a copy of the environment, which Ray's agent hands to pip itself."""
    ray.init()

    @ray.remote
    def version():
        from importlib.metadata import version

        return [version("extra-pkg"), seen()]

    try:
        return ray.get(version.options(runtime_env={"pip": [wheel], "env_vars": dict(os.environ)}).remote())
    finally:
        ray.shutdown()


def in_a_child(command, **options):
    """A child process with `ray.init` of its own."""
    return json.loads(subprocess.check_output(command, **options).splitlines()[-1])


def rounds():
    os.environ["MY_FLAG"] = "on"
    yield "plain", look()
    yield "copied", look(runtime_env={"env_vars": dict(os.environ)})
    given = {"env_vars": {**os.environ, "LEVEL": "near"}, "working_dir": ".", "excludes": ["*.bin"]}
    yield "near", look(runtime_env=given)
    yield "again", look(runtime_env=given)
    config = {"setup_timeout_seconds": 300}
    whole = RuntimeEnv(env_vars=dict(os.environ), working_dir=str(HERE), config=config, worker_process_setup_hook=mark)
    yield "callable", look(runtime_env=whole, logging_config=ray.LoggingConfig(encoding="JSON"))
    named = {"worker_process_setup_hook": "lib.hooks.configure", "working_dir": os.getcwd()}
    yield "named", look(runtime_env=named, address="auto")
    yield "folder", look(runtime_env={"working_dir": str(HERE / "scripts")})
    yield "modules", look(runtime_env={"py_modules": ["lib", str(HERE / "seen.py")]})  # raybundle: ignore
    yield "bundle variables", look(runtime_env={"env_vars": {name: "other" for name in OURS}})
    yield "elsewhere", failed(runtime_env={"working_dir": os.path.dirname(sys.executable)})
    yield "uri", failed(runtime_env={"working_dir": "s3://bucket/" + "code.zip"})
    yield "other modules", failed(runtime_env={"py_modules": [os.path.dirname(sys.executable)]})
    yield "tasks", with_tasks_of_their_own()
    for wheel in sys.argv[1:]:
        yield "pip", with_a_wheel(wheel)
    yield "child", in_a_child([sys.executable, "child.py"])
    (Path.cwd() / "run").write_text(f"{sys.executable} child.py\ntrue\n")
    yield "uv run", in_a_child(["uv", "run"], executable="/bin/sh")
    ray.init(runtime_env={"env_vars": dict(os.environ)})
    yield "shown", dict(ray.get_runtime_context().runtime_env)
    ray.shutdown()
    text = os.environ.pop("RAY_JOB_CONFIG_JSON_ENV_VAR")
    yield "popped", look(runtime_env={"env_vars": {"LEVEL": "near"}})
    os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"] = text


if __name__ == "__main__":
    for name, result in rounds():
        print("ROUND", json.dumps([name, result]), flush=True)
