"""How datarun learns from variable stars: the five functions of a custom data set.

Uploaded beside ``variable_stars.csv`` (a line per star) and ``light_curves.csv`` (a line per
observation). X is a list of dicts, one per star, whose light curves differ in length.
"""

from importlib import import_module
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

TARGET = "type"
HELD_OUT_TEST = 0.2
RANDOM_STATE = 42
_STARS = {"train": "train_stars.csv", "test": "test_stars.csv"}
_CURVES = {"train": "train_light_curves.csv", "test": "test_light_curves.csv"}


def prepare_data(raw_data_path):
    """Split the stars, and with them their light curves, into a training and a held-out test set."""
    folder = Path(raw_data_path)
    stars = pd.read_csv(folder / "variable_stars.csv")
    curves = pd.read_csv(folder / "light_curves.csv")
    train, test = train_test_split(
        stars, test_size=HELD_OUT_TEST, random_state=RANDOM_STATE, stratify=stars[TARGET]
    )
    for part, chosen in (("train", train), ("test", test)):
        chosen.to_csv(folder / _STARS[part], index=False)
        curves[curves["star_id"].isin(chosen["star_id"])].to_csv(folder / _CURVES[part], index=False)


def get_train_data(raw_data_path):
    """X, a list of dicts, and y, an array of str, of the training set."""
    return _read(Path(raw_data_path), "train")


def get_test_data(raw_data_path):
    """X, a list of dicts, and y, an array of str, of the held-out test set."""
    return _read(Path(raw_data_path), "test")


def _read(folder, part):
    stars = pd.read_csv(folder / _STARS[part])
    curves = dict(list(pd.read_csv(folder / _CURVES[part]).groupby("star_id")))
    X = [
        {
            "colour": star.colour,
            "mean_magnitude": star.mean_magnitude,
            "time": curves[star.star_id]["time"].to_numpy(),
            "magnitude": curves[star.star_id]["magnitude"].to_numpy(),
            "error": curves[star.star_id]["error"].to_numpy(),
        }
        for star in stars.itertuples()
    ]
    return X, stars[TARGET].to_numpy(dtype=str)


def train_submission(module_path, X, y, train_indices):
    """Fit a submission's feature extractor and classifier on the stars ``train_indices``."""
    X_train = [X[i] for i in train_indices]
    y_train = y[train_indices]
    feature_extractor = import_module(".feature_extractor", module_path).FeatureExtractor()
    feature_extractor.fit(X_train, y_train)
    classifier = import_module(".classifier", module_path).Classifier()
    classifier.fit(feature_extractor.transform(X_train), y_train)
    return feature_extractor, classifier


def test_submission(trained_model, X, test_indices):
    """Probabilities of the types, of shape (len(test_indices), 3), columns in alphabetical order."""
    feature_extractor, classifier = trained_model
    return classifier.predict_proba(feature_extractor.transform([X[i] for i in test_indices]))
