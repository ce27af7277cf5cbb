from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from .features import build_features
from .schema import TARGET
from .tracking import log_fit


def fit(table, region):
    pipeline = Pipeline([("features", build_features()), ("model", LogisticRegression())])
    pipeline.fit(table, table[TARGET])
    log_fit(region, len(table))
    return pipeline
