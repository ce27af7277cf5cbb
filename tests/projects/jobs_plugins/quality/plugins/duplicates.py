from ..registry import register
from ._values import present


@register("duplicates")
def distinct(values):
    return len(set(present(values))) == len(present(values))
