"""Commands that look into stored bundles."""
