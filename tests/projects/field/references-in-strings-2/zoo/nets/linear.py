def Linear(width):
    return f"linear {width}"
