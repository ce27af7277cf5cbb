def load():
    return "loaded"
