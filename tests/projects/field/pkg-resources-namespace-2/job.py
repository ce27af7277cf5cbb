import sys
from pathlib import Path

for folder in ("core", "plugins"):
    sys.path.insert(0, str(Path(__file__).resolve().parent / folder))

from toolbox.core import run
from toolbox.plugins.extra import NAME

print(run(), NAME)
