"""What a store means: bundles, layers, names, receipts and run records."""
