import os
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parent.parent
DATA_DIR = PROJECT_DIR / "data"
RAW_DIR = DATA_DIR / "raw"
LABELS = DATA_DIR / "labels.txt"
PARAMS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "params.json")
