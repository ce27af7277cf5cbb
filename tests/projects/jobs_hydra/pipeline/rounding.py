def to_tenths(value):
    return round(value, 1)
