"""The work of one task."""


def square(number):
    return number * number
