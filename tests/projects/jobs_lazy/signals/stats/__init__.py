from . import rounding


def spread_of(values):
    return rounding.short(max(values) - min(values))
