class Dense:
    name = "dense"
