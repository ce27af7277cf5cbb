def join(left, right):
    return left + right
