"""What the job does."""
