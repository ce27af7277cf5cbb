import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "src"))
sys.path.append(os.path.join(os.path.dirname(__file__), "..", "lib"))

import features.clean
from shared import left, right
