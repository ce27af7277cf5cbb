def run(rows, model):
    return [{**row, "hours": model.predict(float(row["hours"]))} for row in rows]
