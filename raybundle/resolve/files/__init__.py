"""The files that travel without being modules."""
