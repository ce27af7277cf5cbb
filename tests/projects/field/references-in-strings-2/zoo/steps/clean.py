def run():
    return "clean"
