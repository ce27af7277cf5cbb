from ray import tune

from ratings.trial import trial


def search(weights):
    tuner = tune.Tuner(
        trial,
        param_space={"weight": tune.grid_search(weights)},
        run_config=tune.RunConfig(verbose=0),
    )
    return tuner.fit().get_best_result(metric="loss", mode="min").metrics["loss"]
