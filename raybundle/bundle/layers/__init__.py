"""Installed distributions as layers: described, named by digest, archived."""
