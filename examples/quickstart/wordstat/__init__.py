"""The package beside the driver: it travels because the driver imports it."""
