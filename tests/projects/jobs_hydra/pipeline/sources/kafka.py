from .base import Source


class Kafka(Source):
    def values(self, seed):
        raise NotImplementedError
