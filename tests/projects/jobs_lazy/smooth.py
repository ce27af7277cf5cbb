"""Smooths three signals, one on each node."""

import sys

import tables
from signals.spread import spread


def work(name):
    import signals as sg

    values = sg.read(name)
    smoothed = sg.moving_average(values, width=2)
    return name, sg.stats.spread_of(smoothed), sg.stats.rounding.short(max(smoothed))


if __name__ == "__main__":
    rows = spread(work, ["drift", "noise", "pulse"], local="--local" in sys.argv)
    wide = tables.pivot(rows)
    print("SIGNALS", tables.render(wide))
