import sys
from pathlib import Path

THIRD_PARTY = Path(__file__).resolve().parent / "third_party" / "yolo"
sys.path.append(str(THIRD_PARTY))

from engine.core import detect
