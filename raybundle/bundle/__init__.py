"""Turns a `Resolution` into bytes: collected files, canonical manifest, digest, deterministic archive."""
