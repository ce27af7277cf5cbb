import ray.train
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.queue import Queue

from parts.origin import origin


def steps(settings):
    context = ray.train.get_context()
    settings["answers"].put({"workers": context.get_world_size(), "origin": origin()})
    ray.train.report({"loss": 0})


def run():
    answers = Queue(actor_options={"num_cpus": 0})
    scaling = ray.train.ScalingConfig(num_workers=2)
    DataParallelTrainer(steps, train_loop_config={"answers": answers}, scaling_config=scaling).fit()
    found = [answers.get(block=False) for _ in range(2)]
    return {"value": [each["workers"] for each in found], "origins": [each["origin"] for each in found]}
