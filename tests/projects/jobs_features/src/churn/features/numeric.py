import numpy as np

from .base import Feature


class LogOf(Feature):
    def __init__(self, column):
        self.column = column

    def transform(self, table):
        return np.log1p(table[[self.column]].to_numpy())
