"""Imports from folders that it puts on its path, from a namespace in two roots, and late, in a task."""

import os
import sys

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.path.insert(0, "lib2")

import appended
import inserted
import ray
import report
import things
from company.alpha import a
from company.beta import b


class Local:
    def __init__(self, value):
        self.value = value


@ray.remote(num_cpus=0)
class Keeper:
    def greet(self, node):
        import only_late

        return only_late.greet(node)

    def keep(self, local, thing):
        local.value += 1
        thing.value += 1
        return local, thing, things.Thing(7)


print("BOTH", a.X + b.X)
keepers = [Keeper.options(resources={node: 1}).remote() for node in report.NODES]
print("GREETINGS", ray.get([keeper.greet.remote(node) for keeper, node in zip(keepers, report.NODES)]))
for local, thing, made in ray.get([keeper.keep.remote(Local(1), things.Thing(2)) for keeper in keepers]):
    assert type(local) is Local, type(local)
    assert type(thing) is things.Thing, type(thing)
    print("BACK", local.value, thing.value, made.value)
report.everywhere("appended", "inserted", "report", "company.alpha.a", "company.beta.b", "only_late")
