raise RuntimeError("nothing imports this")
