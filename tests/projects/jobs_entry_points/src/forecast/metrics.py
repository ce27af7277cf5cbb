def mae(predicted, value):
    return abs(predicted - value)
