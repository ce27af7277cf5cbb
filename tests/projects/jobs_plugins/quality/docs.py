"""Writes the manual of all checks."""

from quality.html import page
from quality.registry import CHECKS

print(page(sorted(CHECKS)))
