"""Loads what is asked for when it is asked for (PEP 562)."""

import importlib

_WHERE = {
    "pivot": ".reshape",
    "render": ".text.render",
}


def __getattr__(name):
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name], __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(_WHERE)
