"""Admin pages of the three models and of people. No page loads indices or predictions."""

from runapp.admin import data_sets, folds, people, submissions

__all__ = ["data_sets", "folds", "people", "submissions"]
