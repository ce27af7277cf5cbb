"""Signatures of bundles: who vouches for a manifest, and for a version of a name."""
