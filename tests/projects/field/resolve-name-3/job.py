import importlib.util
import runpy
import sys

mode = sys.argv[1] if len(sys.argv) > 1 else "fast"


def lazy(name):
    spec = importlib.util.find_spec(name)
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


engine = lazy(f"engines.{mode}")
print(engine.SPEED, runpy.run_module(f"modes.{mode}")["RESULT"], lazy("late").NAME)
