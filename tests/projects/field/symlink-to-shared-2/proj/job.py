import json
from pathlib import Path

import textutils
from shared_lib.text import shout

print(textutils.strip(" a "), shout("b"))
print(json.loads(Path(__file__).with_name("params.json").read_text()), open("data/rows.csv").read().strip())
