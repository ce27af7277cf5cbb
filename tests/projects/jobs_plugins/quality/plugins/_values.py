def present(values):
    return [value for value in values if value is not None]
