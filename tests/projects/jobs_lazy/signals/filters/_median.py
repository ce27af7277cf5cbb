from statistics import median as middle

from signals.filters._windows import windows


def median(values, width):
    return [middle(window) for window in windows(values, width)]
