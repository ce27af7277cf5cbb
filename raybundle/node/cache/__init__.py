"""Makes and keeps what bundles run from on a node."""
