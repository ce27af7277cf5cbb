from loading import load

print(load("csv").NAME, load("json").NAME)
