"""Runs a target and records what it imports and opens."""
