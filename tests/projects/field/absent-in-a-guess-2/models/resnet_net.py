def build(depth):
    return f"resnet{depth}"
