class Scorer:
    """An actor of Ray Data."""

    def __init__(self):
        from ratings.weights import load_weights

        self.weights = load_weights()

    def __call__(self, batch):
        batch["score"] = batch["stars"] * self.weights["stars"] - batch["noise"] * self.weights["noise"]
        return batch
