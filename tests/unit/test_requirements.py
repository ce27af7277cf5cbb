"""Markers of requirements, as they hold for the nodes."""

from __future__ import annotations

import pytest
from packaging.version import Version

from raybundle.resolve.interpreter.markers import marker_environment
from tests.support.graphs import INTERPRETER


@pytest.mark.parametrize("variable", ["platform_release", "platform_version"])
def test_what_is_not_known_of_a_kernel_can_be_compared_as_a_version(variable: str) -> None:
    assert Version(marker_environment(INTERPRETER)[variable]) == Version("0")
