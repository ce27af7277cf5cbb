import json


def to_json(rows):
    return json.dumps(list(rows))
