from importlib.metadata import entry_points, version

print(version("demo-plugins"), sorted(each.load().__name__ for each in entry_points(group="demo.readers")))
