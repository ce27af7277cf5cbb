import os

import ray

from lib.inner import who

os.environ.setdefault("WANDB_MODE", "offline")
ray.init(runtime_env={"env_vars": {**os.environ, "OMP_NUM_THREADS": "1"}}, ignore_reinit_error=True)


@ray.remote
class Actor:
    def seen(self):
        from lib.inner import who

        return os.environ["WANDB_MODE"], os.environ["OMP_NUM_THREADS"], who()


print("init", ray.get(Actor.remote().seen.remote()), who())
