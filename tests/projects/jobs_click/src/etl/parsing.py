def parse(text):
    return [tuple(line.split(";")) for line in text.splitlines()]
