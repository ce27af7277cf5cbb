def distinct(rows):
    return list(dict.fromkeys(rows))
