from signals.filters._windows import windows


def moving_average(values, width):
    return [sum(window) / width for window in windows(values, width)]
