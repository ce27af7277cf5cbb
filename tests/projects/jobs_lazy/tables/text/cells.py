def cell(values):
    return "/".join(values)
