def load(name):
    return name + ".json"
