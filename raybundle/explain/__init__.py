"""Why something is in a bundle, why it is not, and how large it is."""
