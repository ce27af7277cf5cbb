"""Holds every rule below rules/ against the ledger."""

import sys

from engine.run import audit
from engine.spread import spread

if __name__ == "__main__":
    found = spread(audit, [2023, 2024, 2025], local="--local" in sys.argv)
    print("AUDIT", " ".join(f"{year}:{'+'.join(broken) or 'clean'}" for year, broken in found))
