"""A row of numbers per star, however often it was observed."""

import numpy as np


class FeatureExtractor:
    def fit(self, X, y):
        pass

    def transform(self, X):
        return np.array([self._features(star) for star in X])

    def _features(self, star):
        # The night-to-night change against the spread tells slow variation from fast.
        magnitude = star["magnitude"]
        low, lower, median, upper, high = np.percentile(magnitude, [5, 25, 50, 75, 95])
        change = np.median(np.abs(np.diff(magnitude)))
        return [
            star["colour"], high - low, upper - lower, high - median, median - low,
            change / (upper - lower), (upper - lower) / np.median(star["error"]),
        ]  # fmt: skip
