import fsspec

with fsspec.open("shelf://greeting", "rt") as stream:
    print(stream.read())
