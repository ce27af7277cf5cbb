NAME = "yolo"
