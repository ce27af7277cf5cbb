import os
import sys

sys.path[1:1] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "libs", n) for n in ("one", "two")]

from corp.data.one import load
from corp.data.two import save

print(load(), save())
