from . import LIMIT


def broken_by(row):
    return float(row["amount"]) > LIMIT
