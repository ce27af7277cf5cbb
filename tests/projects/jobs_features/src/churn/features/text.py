"""Features of the letters that customers write; not yet used."""

from sklearn.feature_extraction.text import TfidfVectorizer

from .base import Feature


class Words(Feature):
    def __init__(self):
        self.vectorizer = TfidfVectorizer()

    def transform(self, table):
        return self.vectorizer.transform(table["letter"])
