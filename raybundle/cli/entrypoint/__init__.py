"""Reads the command line of a job, as people paste it after `--`: what it runs, or what to type instead."""
