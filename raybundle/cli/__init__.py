"""The command line: the one place that prints, reads `sys.argv` and turns errors into exit codes."""

from __future__ import annotations

from raybundle.cli.main import main

__all__ = ["main"]
