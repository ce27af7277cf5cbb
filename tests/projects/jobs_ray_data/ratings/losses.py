def squared(weight):
    return (weight - 0.3) ** 2 + 1
