def short(value):
    return f"{value:.1f}"
