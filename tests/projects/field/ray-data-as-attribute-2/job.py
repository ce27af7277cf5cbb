import ray as r


@r.remote
def total():
    return r.data.from_items([{"n": 1}, {"n": 2}]).sum("n")


print("SUM", r.get(total.remote()))
