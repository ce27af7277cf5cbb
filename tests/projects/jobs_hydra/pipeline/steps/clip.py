from pipeline.limits import between


class Clip:
    def __init__(self, low, high):
        self.low, self.high = low, high

    def __call__(self, value):
        return between(self.low, value, self.high)
