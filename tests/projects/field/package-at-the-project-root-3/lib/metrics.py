def accuracy(one, two):
    return sum(a == b for a, b in zip(one, two)) / len(one)
