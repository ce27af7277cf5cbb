import beside
import helper
import json
import sys

print(json.dumps([sys.path, helper.__file__, beside.__file__]))
