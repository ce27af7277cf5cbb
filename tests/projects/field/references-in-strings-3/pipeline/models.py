def Small():
    return "small"
