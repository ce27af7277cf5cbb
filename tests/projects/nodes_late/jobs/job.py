import ray

import report


@ray.remote(num_cpus=0)
def late(node):
    import only_late

    return only_late.greet(node)


tasks = [late.options(resources={node: 1}).remote(node) for node in report.NODES]
print("GREETINGS", ray.get(tasks))
report.everywhere("report", "only_late")
