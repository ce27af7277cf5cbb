"""The names that models of last year were saved with."""

import importlib
import sys

sys.modules["legacy_utils"] = importlib.import_module("core.utils")
sys.modules.setdefault("legacy_utils.text", importlib.import_module("core.utils.text"))
