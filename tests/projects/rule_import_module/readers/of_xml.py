NAME = "xml"
