import sys
from pathlib import Path


def options(words):
    return dict(word.lstrip("-").split("=", 1) for word in words)


given = options(sys.argv[1:])
rows = Path(given["data.train"]).read_text().split()
labels = sorted(p.name for p in Path(given["labels"]).iterdir())
print(len(rows), labels)
