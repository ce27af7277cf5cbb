import random


def shuffle(rows):
    return random.sample(rows, len(rows))
