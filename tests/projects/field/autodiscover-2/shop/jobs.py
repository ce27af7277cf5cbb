from registry import job


@job
def ship():
    return "shipped"
