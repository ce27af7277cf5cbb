from .cells import cell


def render(wide):
    return " ".join(f"{name}={cell(values)}" for name, values in wide.items())
