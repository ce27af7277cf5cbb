import importlib


def load(text):
    module, _, name = text.replace(":", ".").rpartition(".")
    return getattr(importlib.import_module(module), name)
