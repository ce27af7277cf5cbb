from sklearn.base import BaseEstimator, TransformerMixin


class Feature(BaseEstimator, TransformerMixin):
    def fit(self, table, target=None):
        return self
