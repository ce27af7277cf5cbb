class Source:
    def __init__(self, length):
        self.length = length
