from .codes import CODES


def broken_by(row):
    return row["currency"] not in CODES
