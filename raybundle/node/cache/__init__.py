"""Makes and keeps the directories that bundles run from on a node."""
