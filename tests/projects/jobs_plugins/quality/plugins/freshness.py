from quality.registry import register


@register("freshness")
def fresh(values):
    return bool(values)
