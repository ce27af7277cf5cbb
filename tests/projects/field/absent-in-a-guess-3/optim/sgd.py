def make(lr):
    return f"SGD({lr})"
