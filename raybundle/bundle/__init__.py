"""From a `Resolution` to bytes: collected files, canonical manifest, digest, deterministic archive."""
