NAME = "linear"
