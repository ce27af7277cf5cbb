import os
from pkgutil import resolve_name
from pydoc import locate

KIND = os.getenv("STAGE", "clean")
run = resolve_name("steps.%s.run" % KIND)
Stage = locate(".".join(["stages", KIND, "Stage"]))
print(run(), Stage().name)
