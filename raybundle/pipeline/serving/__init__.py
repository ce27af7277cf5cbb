"""The stories of `serve`: applications of Ray Serve that run from bundles."""
