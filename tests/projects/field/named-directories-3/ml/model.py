class Model:
    def go(self):
        return "model"
