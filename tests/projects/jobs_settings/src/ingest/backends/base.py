class Backend:
    def put(self, rows):
        raise NotImplementedError
