from .base import Model

PERIOD = 3


class Season(Model):
    def predict(self, values):
        return values[-PERIOD]
