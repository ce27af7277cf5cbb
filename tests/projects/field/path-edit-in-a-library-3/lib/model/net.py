def build():
    return "vgg16"
