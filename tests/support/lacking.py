"""What a test does without something that it needs: it is skipped, and in CI it fails."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn


def lacking(reason: str) -> NoReturn:
    """Skips the test; fails in CI."""
    import pytest  # noqa: PLC0415 - scripts and programs of the tests run without it

    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def required_environment(name: str, what: str) -> Path:
    """Returns the environment that a variable names, such as RAYBUNDLE_TEST_AIRFLOW_ENV."""
    return Path(os.environ.get(name) or lacking(f"{name} names no environment: nothing is shown for {what}"))
