def broken_by(row):
    return False
