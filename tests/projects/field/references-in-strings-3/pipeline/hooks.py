def after():
    return "after"
