"""The story of `path`: what each process of a job imports from, here and on every node."""
