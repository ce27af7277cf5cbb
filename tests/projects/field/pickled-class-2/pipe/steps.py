class Pipeline:
    def __init__(self, factor):
        self.factor = factor

    def run(self, n):
        return n * self.factor
