import json


class Exporter:
    def __init__(self, weights):
        self.weights = weights

    @property
    def graph(self):
        import absent_onnx as onnx
        from absent_onnx import helper

        return helper.make_graph(onnx, self.weights)

    def to_json(self):
        return json.dumps(self.weights)

    @classmethod
    def from_hub(cls, repo):
        def fetch():
            from absent_hub import snapshot_download

            return snapshot_download(repo)

        return cls(fetch())
