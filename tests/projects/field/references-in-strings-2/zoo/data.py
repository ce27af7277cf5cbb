def make_loader(size):
    return f"loader {size}"
