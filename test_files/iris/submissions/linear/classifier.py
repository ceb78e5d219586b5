"""Workflow ``classifier``: about the least that a model can cost."""

from sklearn.linear_model import LogisticRegression


class Classifier:
    def __init__(self):
        self.regression = LogisticRegression(max_iter=1000)

    def fit(self, X, y):
        self.regression.fit(X, y)

    def predict_proba(self, X):
        return self.regression.predict_proba(X)
