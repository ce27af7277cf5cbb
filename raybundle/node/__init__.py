"""The code that runs on nodes: standard library only, imports nothing else of raybundle."""
