class Model:
    class Config:
        depth = 3

    def describe(self):
        return f"depth {self.config.depth}"
