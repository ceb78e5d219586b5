"""The three tables of datarun: data sets, submissions, and submissions on folds."""

from runapp.models.raw_data import SPLIT_STATE_CHOICES, Ranking, RawData
from runapp.models.submission import Submission
from runapp.models.submission_fold import OUTCOME_CHOICES, PRIORITY_CHOICES, STATE_CHOICES, SubmissionFold

__all__ = [
    "OUTCOME_CHOICES",
    "PRIORITY_CHOICES",
    "SPLIT_STATE_CHOICES",
    "STATE_CHOICES",
    "Ranking",
    "RawData",
    "Submission",
    "SubmissionFold",
]
