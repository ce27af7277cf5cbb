from importlib.resources import files


def read():
    return files("pkg").joinpath("words.txt").read_text("utf-8").split()
