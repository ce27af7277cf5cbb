def write():
    return "write"
