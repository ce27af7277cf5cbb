import sys

from models.loading import load

print(load(sys.argv[1] if len(sys.argv) > 1 else "tree"))
