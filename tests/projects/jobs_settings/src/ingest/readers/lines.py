from importlib.resources import files


def read(feed):
    return files("ingest.readers").joinpath(f"{feed}.txt").read_text().splitlines()
