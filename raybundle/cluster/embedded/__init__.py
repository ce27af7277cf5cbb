"""The embedded single-machine cluster."""
