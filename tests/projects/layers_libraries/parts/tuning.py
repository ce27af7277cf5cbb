from ray import tune

from parts.origin import origin


def trial(settings):
    tune.report({"loss": (settings["weight"] - 3) ** 2, "origin": origin()})


def run():
    space = {"weight": tune.grid_search([1, 3])}
    best = tune.Tuner(trial, param_space=space, run_config=tune.RunConfig(verbose=0)).fit()
    metrics = best.get_best_result(metric="loss", mode="min").metrics
    return {"value": metrics["loss"], "origins": [metrics["origin"]]}
