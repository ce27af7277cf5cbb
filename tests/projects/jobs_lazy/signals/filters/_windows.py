def windows(values, width):
    return [values[start : start + width] for start in range(len(values) - width + 1)]
