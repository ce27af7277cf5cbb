"""The report: a bundle, its path and its runs as one page for a browser."""
