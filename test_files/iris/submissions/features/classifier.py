"""Boosted trees on the features of ``feature_extractor.py``."""

from sklearn.ensemble import GradientBoostingClassifier


class Classifier:
    def __init__(self):
        self.trees = GradientBoostingClassifier(n_estimators=20, max_depth=2, random_state=57)

    def fit(self, X, y):
        self.trees.fit(X, y)

    def predict_proba(self, X):
        return self.trees.predict_proba(X)
