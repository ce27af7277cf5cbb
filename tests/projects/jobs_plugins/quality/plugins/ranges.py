from ..registry import register
from . import _values


@register("ranges")
def in_range(values, low, high):
    return all(low <= value <= high for value in _values.present(values))
