from importlib import import_module

from settings import SINK, STEPS

for step in STEPS:
    module, _, name = step.partition(":")
    getattr(import_module(module), name)()  # raybundle: ignore
module, _, name = SINK.rpartition(".")
getattr(import_module(module), name)()  # raybundle: ignore
