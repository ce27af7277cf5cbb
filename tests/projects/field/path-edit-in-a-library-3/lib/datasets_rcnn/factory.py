def names():
    return ["voc", "coco"]
