from importlib.resources import files


def read():
    text = (files("forecast") / "sales.csv").read_text()
    return [float(line.split(",")[1]) for line in text.splitlines()[1:]]
