import importlib
import tomllib
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent


def instantiate(node):
    module, _, name = node.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), name)(**node)


config = yaml.safe_load((HERE / "conf" / "model.yaml").read_text())
print(instantiate(config["model"]), instantiate(config["data"]["loader"]))
steps = tomllib.loads((HERE / "conf" / "steps.toml").read_text())["steps"]
for reference in steps.values():
    module, _, name = reference.partition(":")
    print(getattr(importlib.import_module(module), name)())
