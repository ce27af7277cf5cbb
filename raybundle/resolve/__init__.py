"""From a target and its interpreter to a `Resolution`: the effective import graph."""
