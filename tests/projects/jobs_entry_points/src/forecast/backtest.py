from forecast import registry
from forecast.series import read


def backtest(name):
    model = registry.load("forecast.models", name)()
    error = registry.load("forecast.metrics", "mae")
    values = read()
    return name, error(model.predict(values[:-1]), values[-1])
