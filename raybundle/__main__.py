"""Runs the command line as `python -m raybundle`."""

from __future__ import annotations

import os
import sys

if sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 - the string that `-m` puts there
    del sys.path[0]  # nothing is imported from where one stands

from raybundle.cli import main

if __name__ == "__main__":
    sys.exit(main())
