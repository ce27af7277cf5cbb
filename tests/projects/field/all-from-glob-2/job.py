from loaders import *

print(csv_loader.load("a"), json_loader.load("b"))
