def page(names):
    return "".join(f"<li>{name}</li>" for name in names)
