from .base import Feature


class Ratio(Feature):
    def __init__(self, above, below):
        self.above = above
        self.below = below

    def transform(self, table):
        return (table[self.above] / table[self.below]).to_frame().to_numpy()
