import random

from .base import Source


class Noise(Source):
    def values(self, seed):
        generator = random.Random(seed)
        return [generator.random() for _ in range(self.length)]
