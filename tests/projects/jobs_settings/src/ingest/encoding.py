def encode(row):
    return f"{row}\n".encode()
