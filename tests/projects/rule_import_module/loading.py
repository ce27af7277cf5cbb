import importlib

READERS = {"csv": "readers.of_csv", "json": "readers.of_json"}


def load(name):
    return importlib.import_module(READERS[name])
