def slope(values):
    middle = (len(values) - 1) / 2
    mean = sum(values) / len(values)
    above = sum((index - middle) * (value - mean) for index, value in enumerate(values))
    return above / sum((index - middle) ** 2 for index in range(len(values)))
