from importlib import resources

print(resources.files("tables.raw").joinpath("codes.csv").read_text())
