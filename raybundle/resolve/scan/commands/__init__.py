"""Commands that a source runs as child processes."""
