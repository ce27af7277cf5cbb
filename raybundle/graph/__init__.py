"""The effective import graph: from a target and its interpreter to a `Resolution`."""
