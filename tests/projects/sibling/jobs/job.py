import json

from sibling import answer

print(json.dumps(answer()))
