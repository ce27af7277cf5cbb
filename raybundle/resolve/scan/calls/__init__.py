"""What the calls in one source import, read and ask for."""
