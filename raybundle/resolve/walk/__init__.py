"""Follows imports from the driver until nothing new is reached."""
