"""Text and file formats: the basic rules of docs/format.md, TOML, lists, and credentials in URLs."""
