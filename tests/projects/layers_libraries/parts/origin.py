"""Where a process has its pandas from."""

import pandas


def origin():
    return pandas.__file__
