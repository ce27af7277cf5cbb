"""Imports that resolve nowhere: which of them stop the job, and what settles them."""
