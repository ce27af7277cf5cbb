from importlib.metadata import entry_points


def names(group):
    return sorted(each.name for each in entry_points(group=group))


def load(group, name):
    [found] = entry_points(group=group, name=name)
    return found.load()
