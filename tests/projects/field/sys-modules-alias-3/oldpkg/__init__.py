import sys
import warnings
from importlib import import_module

for _name in ("layers", "losses"):
    _module = import_module(f"newpkg.{_name}")
    sys.modules[f"{__name__}.{_name}"] = _module
    globals()[_name] = _module
