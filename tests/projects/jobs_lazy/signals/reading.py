import json
from importlib import resources


def read(name):
    text = resources.files(__package__).joinpath("samples.json").read_text()
    return json.loads(text)[name]
