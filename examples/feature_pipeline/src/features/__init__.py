"""Features of sensor readings."""
