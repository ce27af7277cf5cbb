"""Runs the command line as `python -m raybundle`."""

from __future__ import annotations

import sys

from raybundle.cli import main

if __name__ == "__main__":
    sys.exit(main())
