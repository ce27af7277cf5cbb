from export import Exporter

print(Exporter({"a": 1}).to_json())
