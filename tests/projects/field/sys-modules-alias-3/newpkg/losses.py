def mse(a, b):
    return (a - b) ** 2
