import json
from importlib import import_module
from pathlib import Path

from .registry import CHECKS


def load_checks():
    for entry in json.loads(Path(__file__).with_name("checks.json").read_text()):
        name = entry.pop("plugin")
        import_module(f"quality.plugins.{name}")
        yield name, CHECKS[name], entry
