"""A job's own working directory on a node."""
