"""One isotonic regression per species, from forecast probability to observed frequency."""

import numpy as np
from sklearn.isotonic import IsotonicRegression


class Calibrator:
    def fit(self, probabilities, y):
        self.curves = [
            IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(column, y == species)
            for column, species in zip(probabilities.T, np.unique(y), strict=True)
        ]

    def predict_proba(self, probabilities):
        corrected = np.column_stack([
            curve.predict(column) for column, curve in zip(probabilities.T, self.curves, strict=True)
        ])  # fmt: skip
        # A flower that no curve gives a chance keeps what the classifier said.
        corrected = np.where(corrected.sum(axis=1, keepdims=True) > 0, corrected, probabilities)
        return corrected / corrected.sum(axis=1, keepdims=True)
