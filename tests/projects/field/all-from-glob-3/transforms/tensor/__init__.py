from pathlib import Path

__all__ = sorted(p.stem for p in Path(__file__).parent.glob("[!_]*.py"))

from . import *
