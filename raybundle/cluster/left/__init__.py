"""Finds on this machine what a job that failed did not find in its bundle."""
