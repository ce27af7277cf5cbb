import pickle
from pathlib import Path


class Reader(pickle.Unpickler):
    def persistent_load(self, pid):
        raise pickle.UnpicklingError(pid)


with open("state/encoder.pickle", "rb") as stream:
    encode = Reader(stream).load()
old = pickle.loads(Path("state/legacy.dat").read_bytes())
print(encode("b"), old.describe())
