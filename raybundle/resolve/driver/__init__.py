"""What the user runs: its project, its script, its path."""
