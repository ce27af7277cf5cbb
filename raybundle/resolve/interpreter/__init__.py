"""The Python that runs the target, and the Python of the nodes."""
