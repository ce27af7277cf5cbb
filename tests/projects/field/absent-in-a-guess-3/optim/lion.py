from absent_bitsandbytes.optim import Lion8bit


def make(lr):
    return Lion8bit(lr=lr)
