import importlib
import pkgutil

import rules


def all_rules():
    for each in pkgutil.walk_packages(rules.__path__, rules.__name__ + "."):
        module = importlib.import_module(each.name)
        if hasattr(module, "broken_by"):
            yield each.name.rpartition(".")[2], module.broken_by
