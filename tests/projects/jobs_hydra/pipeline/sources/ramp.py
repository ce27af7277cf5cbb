from .base import Source


class Ramp(Source):
    def values(self, seed):
        return [float(seed * position) for position in range(self.length)]
