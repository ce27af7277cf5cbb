import ray

ray.init(runtime_env={"pip": ["pyjokes==0.8.3"]})


@ray.remote
class Teller:
    def __init__(self):
        from pyjokes import get_joke

        self.tell = get_joke

    def name(self):
        return self.tell.__name__


print("PIP", ray.get(Teller.remote().name.remote()))
