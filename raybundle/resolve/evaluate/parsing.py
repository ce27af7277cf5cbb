"""Parses a source as Python does. An error names the file and line."""

from __future__ import annotations

import ast
import warnings

from raybundle.errors import BundleError


def parse(source: bytes, file: str) -> ast.Module:
    """Return the syntax tree. Byte-order marks and coding cookies are honoured (PEP 263).

    Raises:
        BundleError: the source is not Python; with file and line.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes: Python itself warns about them
            return ast.parse(source, file)
    except SyntaxError as error:
        place = f"{file}:{error.lineno}" if error.lineno else file
        raise BundleError(
            f"cannot parse {place}: {error.msg}", hint="mend the file, or do not import it"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise BundleError(
            f"cannot parse {file}: {error}", hint="mend the file, or do not import it"
        ) from error
