from quality.registry import register


@register("completeness")
def complete(values):
    return None not in values
