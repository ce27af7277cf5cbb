"""Gets distributions for nodes whose Python or platform differs from the one at hand."""
