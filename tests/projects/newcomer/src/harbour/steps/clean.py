def run(rows, model):
    return [row for row in rows if row["hours"]]
