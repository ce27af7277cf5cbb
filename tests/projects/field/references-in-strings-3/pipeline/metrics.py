def f1():
    return "f1"
