class Scale:
    def __init__(self, by):
        self.by = by

    def __call__(self, value):
        return value * self.by
