from statistics import fmean


class Mean:
    def __init__(self, rounding):
        self.rounding = rounding

    def collect(self, values):
        return self.rounding(fmean(values))
