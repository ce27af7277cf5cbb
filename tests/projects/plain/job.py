import json
import os
import sys

from pkg import data

print("REPORT " + json.dumps({"argv": sys.argv[1:], "data": data.read(), "cwd": sorted(os.listdir("."))}))
