import os

import ray
from ray.runtime_env import RuntimeEnv

ray.init()


@ray.remote
def task():
    import helper

    return os.environ["STAGE"], helper.NAME


env = os.environ.copy()
env.update(STAGE="eval")
print("task", ray.get(task.options(runtime_env=RuntimeEnv(env_vars=env)).remote()))
