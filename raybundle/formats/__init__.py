"""The basic rules of docs/format.md: canonical JSON, archive paths and archives with stable bytes."""
