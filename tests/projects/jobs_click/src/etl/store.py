class Store:
    def __init__(self):
        self.rows = {}

    def put(self, rows):
        self.rows.update(rows)

    def __str__(self):
        return " ".join(f"{name}={count}" for name, count in sorted(self.rows.items()))
