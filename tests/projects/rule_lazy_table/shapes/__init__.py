import importlib

_WHERE = {"area": ".surface.area", "length": ".curves"}
_MODULES = ["lines"]


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module("." + name, __name__)
    module = importlib.import_module(_WHERE[name], __name__)
    return getattr(module, name)
