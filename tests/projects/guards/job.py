import sys
from importlib import import_module
from typing import TYPE_CHECKING

import app
from app.star import *

if TYPE_CHECKING:
    import app.only_types
if sys.version_info < (3, 0):
    import app.old
try:
    import absent_fast
except ImportError:
    import app.slow as absent_fast

app.reached.run()


def step(name):
    import_module("app.literal")
    import_module(f"app.steps.{name}")
    return import_module(name)
