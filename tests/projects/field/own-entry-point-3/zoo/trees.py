class Forest:
    def fit(self):
        return "forest fit"
