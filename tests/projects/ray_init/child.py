"""A driver in a child process."""

import json
import os

from seen import look

if __name__ == "__main__":
    print(json.dumps(look(runtime_env={"env_vars": {**os.environ, "LEVEL": "child"}, "working_dir": "."})))
