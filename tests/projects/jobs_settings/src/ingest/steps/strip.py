def strip(rows):
    return [row.strip() for row in rows]
