import sys


def path_of_child(_):
    import late

    return [list(sys.path), late.__file__]
