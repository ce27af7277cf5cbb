import importlib
import sys

if len(sys.argv) > 2:
    import heavy  # raybundle: ignore

name = sys.argv[1] if len(sys.argv) > 1 else "left"
importlib.import_module(f"{name}.side")  # raybundle: include=left.side, right.*
