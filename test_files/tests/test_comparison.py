import numpy as np
import pytest

from test_files.client import FoldResult, Submission
from test_files.examples import STANDARD_EXAMPLES
from test_files.local_training import TrainedPredictions
from test_files.test_workflow import PredictionsDiffer, SentExample, compare

MEASURES = dict.fromkeys(
    (
        "train_time",
        "validation_time",
        "test_time",
        "train_cpu_time",
        "test_cpu_time",
        "train_memory",
        "test_memory",
    ),
    0.0,
)
FULL_TRAIN, TEST = np.array([[0.1, 0.9], [0.3, 0.7]]), np.array([[0.5, 0.5]])


class TrainingInProcess:
    def predictions(self, _train_is):
        return TrainedPredictions(FULL_TRAIN, TEST)


class DatarunWithOneResult:
    def __init__(self, **fields):
        self.result = FoldResult(
            fold_id=4,
            submission_id=2,
            **{
                "state": "TESTED",
                "outcome": "ok",
                "log_messages": "",
                "full_train_predictions": FULL_TRAIN.copy(),
                "test_predictions": TEST.copy(),
                **MEASURES,
                **fields,
            },
        )

    def wait(self, _submission, **_):
        return {4: self.result.state}

    def results(self, _submission):
        return [self.result]


def compare_with(**fields):
    sent = SentExample(STANDARD_EXAMPLES[0], TrainingInProcess(), [np.arange(2)], Submission(2, (4,)))
    compare(DatarunWithOneResult(**fields), sent)


def test_equal_predictions_pass(capsys):
    compare_with()
    assert "iris_forest: 1 folds predicted equally, bit for bit" in capsys.readouterr().out


@pytest.mark.parametrize("field", ["full_train_predictions", "test_predictions"])
def test_one_different_bit_is_found(field):
    predictions = (FULL_TRAIN if field == "full_train_predictions" else TEST).copy()
    predictions[0, 0] = np.nextafter(predictions[0, 0], 1.0)
    with pytest.raises(PredictionsDiffer, match=f"iris_forest, fold 4: {field} differ by up to 1.*e-1[67]:"):
        compare_with(**{field: predictions})


def test_another_shape_is_found():
    with pytest.raises(PredictionsDiffer, match=r"the shape \(2,\) on the service, \(1, 2\) here"):
        compare_with(test_predictions=TEST[0])


def test_missing_predictions_are_found():
    with pytest.raises(PredictionsDiffer, match="full_train_predictions are missing"):
        compare_with(full_train_predictions=None)


def test_a_failed_fold_is_told_with_its_log():
    with pytest.raises(PredictionsDiffer, match="fold 4 is ERROR, user_error:\nZeroDivisionError"):
        compare_with(state="ERROR", outcome="user_error", log_messages="ZeroDivisionError")
