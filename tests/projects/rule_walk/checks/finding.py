import importlib
import pkgutil

import checks.rules


def find():
    for info in pkgutil.walk_packages(checks.rules.__path__, checks.rules.__name__ + "."):
        yield importlib.import_module(info.name).__name__
