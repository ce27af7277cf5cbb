"""Small tools for series of numbers."""
