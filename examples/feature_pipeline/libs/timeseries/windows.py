"""Moving windows."""

from collections import deque


def moving_means(values, size):
    """Yields the mean of each value and up to `size - 1` before it."""
    window = deque(maxlen=size)
    for value in values:
        window.append(value)
        yield sum(window) / len(window)
