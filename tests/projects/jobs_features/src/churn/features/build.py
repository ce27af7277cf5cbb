from sklearn.pipeline import FeatureUnion

from churn.features import categorical, numeric, ratios


def build_features():
    return FeatureUnion(
        [
            ("calls", numeric.LogOf("calls")),
            ("plan", categorical.OneHot("plan")),
            ("spent", ratios.Ratio("spent", "age")),
        ]
    )
