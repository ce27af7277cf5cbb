"""Removes from a store what nothing leads to (docs/format.md, section 6.3; decision 030)."""
