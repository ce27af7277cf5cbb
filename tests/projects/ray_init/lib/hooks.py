"""What people let Ray call: hooks of workers, by name and as callables, and a hook of `ray.init` itself."""

import os


def configure():
    os.environ["CONFIGURED"] = "by name"


def submitted():
    os.environ["CONFIGURED"] = "as submitted"


def on_the_node(runtime_env):
    return {**runtime_env, "env_vars": {**runtime_env.get("env_vars", {}), "ADDED": "by the node"}}
