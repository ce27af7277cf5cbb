STATIONS = ["hill", "port", "town"]
