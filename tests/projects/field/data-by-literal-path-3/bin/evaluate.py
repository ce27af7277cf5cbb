import glob
import os
import sqlite3
import sys
from importlib import resources

sys.path.append(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

import textkit

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


class Vocabulary:
    folder = f"{ROOT}/vocab"

    def __init__(self, language):
        with open(f"{self.folder}/{language}.txt") as stream:
            self.words = stream.read().split()


db = sqlite3.connect(":memory:")
for script in sorted(glob.glob(os.path.join(ROOT, "sql", "*.sql"))):
    db.executescript(open(script).read())
print([Vocabulary(each).words for each in ("en", "de")])
print(db.execute("select count(*) from items").fetchone())
print(resources.files(textkit).joinpath("stop.txt").read_text().strip())
print(resources.files("textkit.lists").joinpath("names.txt").read_text().strip())
