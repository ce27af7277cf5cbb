def greet(part):
    return f"hello {part}"
