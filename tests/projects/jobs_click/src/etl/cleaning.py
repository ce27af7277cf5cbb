def clean(row):
    return row[0].lower(), int(row[1])
