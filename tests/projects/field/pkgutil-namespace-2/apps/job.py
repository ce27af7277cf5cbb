import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for package in ("alpha", "beta"):
    sys.path.append(os.path.join(HERE, "..", "packages", package, "src"))

import fleet.alpha
from fleet.beta import NAME

print(fleet.alpha.NAME, NAME)
