import absent_timm


def build(depth):
    return absent_timm.create_model("vit", depth=depth)
