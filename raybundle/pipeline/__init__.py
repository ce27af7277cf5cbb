"""What the command line and the library both do, each story told once."""
