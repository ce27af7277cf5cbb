from rules.base import field


def broken_by(row):
    return not field(row, "name")
