def norm(values):
    return sum(v * v for v in values) ** 0.5
