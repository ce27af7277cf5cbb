"""Makes and removes a job's own working directory on a node."""
