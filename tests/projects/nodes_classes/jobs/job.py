import ray
import things


class Local:
    def __init__(self, value):
        self.value = value


@ray.remote
class Keeper:
    def keep(self, local, thing):
        local.value += 1
        thing.value += 1
        return local, thing, things.Thing(7)


for node in ("n0", "n1", "n2"):
    keeper = Keeper.options(resources={node: 1}, num_cpus=0).remote()
    local, thing, made = ray.get(keeper.keep.remote(Local(1), things.Thing(2)))
    assert type(local) is Local, type(local)
    assert type(thing) is things.Thing, type(thing)
    print("BACK", node, local.value, thing.value, made.value)
