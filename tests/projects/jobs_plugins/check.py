"""Runs the checks that quality/checks.json enables over three tables."""

import sys

from quality.report import as_line
from quality.runner import check
from quality.spread import spread

TABLES = {"good": [1, 2, 3], "holes": [1, None, 3], "doubles": [4, 4, 400]}

if __name__ == "__main__":
    found = spread(check, list(TABLES.items()), local="--local" in sys.argv)
    print("QUALITY", as_line(found))
