import ray

ray.init()


@ray.remote
def joke():
    import pyjokes

    return pyjokes.__name__


print("PIP", ray.get(joke.remote()))
