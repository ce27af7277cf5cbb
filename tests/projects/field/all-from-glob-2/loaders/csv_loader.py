def load(name):
    return name + ".csv"
