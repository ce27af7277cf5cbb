def read(name):
    return f"read {name}"
