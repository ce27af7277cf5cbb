from hydra.utils import instantiate

from pipeline.protocol import check


def run(part):
    config, seed = part
    source = instantiate(config["source"])
    steps = [check(instantiate(step)) for step in config["steps"]]
    sink = instantiate(config["sink"])
    values = source.values(seed)
    for step in steps:
        values = [step(value) for value in values]
    return sink.collect(values)
