"""From readings to rows of features."""

from collections import defaultdict
from typing import NamedTuple

from timeseries.windows import moving_means


class Features(NamedTuple):
    sensor: str
    time: int
    value: float
    mean: float
    above_limit: bool


def build_features(readings, window, limits):
    series = defaultdict(list)
    for reading in sorted(readings):
        series[reading.sensor].append(reading)
    return [row for sensor, points in sorted(series.items()) for row in _rows(points, window, limits[sensor])]


def _rows(points, window, limit):
    means = moving_means([point.value for point in points], window)
    return [
        Features(point.sensor, point.time, point.value, round(mean, 3), mean > limit)
        for point, mean in zip(points, means, strict=True)
    ]
