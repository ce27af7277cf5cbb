class Model:
    def predict(self, values):
        raise NotImplementedError
