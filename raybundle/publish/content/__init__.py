"""What is inside the objects of a store: files of bundles and layers, each read once and compared."""
