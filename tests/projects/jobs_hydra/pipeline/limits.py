def between(low, value, high):
    return max(low, min(value, high))
