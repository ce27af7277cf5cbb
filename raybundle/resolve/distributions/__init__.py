"""What is installed, and which of it a bundle needs."""
