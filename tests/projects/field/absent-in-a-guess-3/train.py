import json
from importlib import import_module
from pathlib import Path

config = json.loads(Path(__file__).with_name("config.json").read_text())
optimizer = getattr(import_module("." + config["optimizer"], package="optim"), "make")
print(optimizer(lr=config["lr"]))
