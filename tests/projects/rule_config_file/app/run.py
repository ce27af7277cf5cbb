import json
from importlib import import_module
from pathlib import Path


def main():
    for name in json.loads(Path(__file__).with_name("steps.json").read_text())["steps"]:
        import_module(name.rpartition(".")[0])  # raybundle: ignore
