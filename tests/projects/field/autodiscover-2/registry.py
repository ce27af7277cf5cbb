JOBS = {}


def job(function):
    JOBS[f"{function.__module__}.{function.__name__}"] = function
    return function
