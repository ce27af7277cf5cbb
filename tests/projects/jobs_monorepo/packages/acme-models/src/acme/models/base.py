class Model:
    @classmethod
    def default(cls):
        return cls()
