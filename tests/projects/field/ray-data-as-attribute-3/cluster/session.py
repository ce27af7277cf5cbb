import ray


def connect():
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
