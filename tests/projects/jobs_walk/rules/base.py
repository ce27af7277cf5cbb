def field(row, name):
    return row[name].strip()
