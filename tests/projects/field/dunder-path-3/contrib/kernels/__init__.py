NAME = "contrib"
