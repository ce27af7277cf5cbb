from importlib.metadata import entry_points, version

models = {point.name: point.load() for point in entry_points(group="zoo.models")}
print(version("zoo-of-models"), sorted(models), models["linear"]().fit())
