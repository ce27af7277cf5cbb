"""What other programs load: a package for each."""
