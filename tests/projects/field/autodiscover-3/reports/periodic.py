from worker import app


@app.task(name="reports.daily")
def daily(n):
    return n + 1
