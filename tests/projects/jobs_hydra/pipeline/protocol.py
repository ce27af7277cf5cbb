def check(step):
    if not callable(step):
        raise TypeError(f"{step!r} is no step")
    return step
