from quality.loader import load_checks


def check(table):
    name, values = table
    return name, [each for each, function, options in load_checks() if not function(values, **options)]
