from .base import Feature

KNOWN = ("basic", "full")


class OneHot(Feature):
    def __init__(self, column):
        self.column = column

    def transform(self, table):
        return [[float(value == each) for each in KNOWN] for value in table[self.column]]
