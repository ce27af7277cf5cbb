class Linear:
    def fit(self):
        return "linear fit"
