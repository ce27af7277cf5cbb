def run():
    return "scored"
