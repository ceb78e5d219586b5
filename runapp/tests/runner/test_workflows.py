"""The workflows of a standard data set, in this process, against the same steps written out."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import StratifiedShuffleSplit, train_test_split

from runapp.contract import Outcome
from runapp.runner.failure import BadOutput, DataError, UserError
from runapp.runner.standard_data import StandardData, load_standard_data
from runapp.runner.submission_package import make_importable
from runapp.runner.workflows import StandardWorkflow
from runapp.tests.runner.conftest import CLASSIFIER, HELD_OUT_TEST, RANDOM_STATE, DataSet, Submit

pytestmark = pytest.mark.usefixtures("importing")

TRAIN_IS = np.array([5, 3, 3, 90, 41, 60, 77, 12, 118, 0] * 4 + list(range(20, 60)))

EXTRACTOR = """
class FeatureExtractor:
    def fit(self, X_df, y):
        self.mean = X_df["petal length (cm)"].mean()

    def transform(self, X_df):
        return (X_df[["petal length (cm)", "sepal width (cm)"]] - self.mean).to_numpy()
"""
CALIBRATOR = """
from sklearn.linear_model import LogisticRegression

class Calibrator:
    def fit(self, probabilities, y):
        self.model = LogisticRegression().fit(probabilities, y)

    def predict_proba(self, probabilities):
        return self.model.predict_proba(probabilities)
"""
REGRESSOR = """
from sklearn.linear_model import LinearRegression

class Regressor(LinearRegression):
    pass
"""


def load(data: DataSet, train_is: np.ndarray = TRAIN_IS) -> StandardData:
    return load_standard_data(
        data.folder,
        data.target_column,
        train_is,
        n_train_rows=data.n_train_rows,
        n_test_rows=data.n_test_rows,
    )


def workflow(folder: Path, elements: tuple[str, ...], data: StandardData) -> StandardWorkflow:
    return StandardWorkflow(make_importable(folder), elements, data)


def predictions(trained: StandardWorkflow) -> tuple[np.ndarray, np.ndarray]:
    trained.train()
    return trained.predict_training_set(), trained.predict_test_set()


def parts(data: DataSet) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training features, training labels and test features as a participant gets them from the file."""
    train, test = train_test_split(data.frame, test_size=HELD_OUT_TEST, random_state=RANDOM_STATE)
    features = [column for column in train if column != data.target_column]
    return train[features].to_numpy(), train[data.target_column].to_numpy(), test[features].to_numpy()


def test_a_classifier_predicts_every_row_bit_for_bit_as_in_process(iris: DataSet, submit: Submit) -> None:
    X_train, y_train, X_test = parts(iris)
    model = LogisticRegression(max_iter=1000).fit(X_train[TRAIN_IS], y_train[TRAIN_IS])

    train, test = predictions(workflow(submit({"classifier.py": CLASSIFIER}), ("classifier",), load(iris)))

    assert np.array_equal(train, model.predict_proba(X_train))
    assert np.array_equal(test, model.predict_proba(X_test))


def test_a_feature_extractor_gets_frames_without_the_target(iris: DataSet, submit: Submit) -> None:
    X_train, y_train, X_test = parts(iris)
    mean = X_train[TRAIN_IS][:, 2].mean()
    model = LogisticRegression(max_iter=1000).fit(X_train[TRAIN_IS][:, [2, 1]] - mean, y_train[TRAIN_IS])
    folder = submit({"classifier.py": CLASSIFIER, "feature_extractor.py": EXTRACTOR})

    train, test = predictions(workflow(folder, ("feature_extractor", "classifier"), load(iris)))

    assert np.array_equal(train, model.predict_proba(X_train[:, [2, 1]] - mean))
    assert np.array_equal(test, model.predict_proba(X_test[:, [2, 1]] - mean))


def test_a_calibrator_is_fitted_on_the_tenth_that_the_classifier_never_saw(
    iris: DataSet, submit: Submit
) -> None:
    X_train, y_train, X_test = parts(iris)
    X, y = X_train[TRAIN_IS], y_train[TRAIN_IS]
    larger, other = next(StratifiedShuffleSplit(n_splits=1, test_size=0.1, random_state=57).split(X, y))
    model = LogisticRegression(max_iter=1000).fit(X[larger], y[larger])
    calibrated = LogisticRegression().fit(model.predict_proba(X[other]), y[other])
    folder = submit({"classifier.py": CLASSIFIER, "calibrator.py": CALIBRATOR})

    train, test = predictions(workflow(folder, ("classifier", "calibrator"), load(iris)))

    assert np.array_equal(train, calibrated.predict_proba(model.predict_proba(X_train)))
    assert np.array_equal(test, calibrated.predict_proba(model.predict_proba(X_test)))


def test_a_regressor_of_one_target_predicts_one_dimension(iris: DataSet, submit: Submit) -> None:
    data = DataSet(iris.file, iris.folder, "petal width (cm)", iris.n_train_rows, iris.n_test_rows)
    loaded = load(data)
    numeric = StandardData(
        X_train=loaded.X_train.drop(columns="species"),
        X_test=loaded.X_test.drop(columns="species"),
        train_is=TRAIN_IS,
        y=loaded.y,
    )
    X = numeric.X_train.to_numpy()
    model = LinearRegression().fit(X[TRAIN_IS], numeric.y)

    train, test = predictions(workflow(submit({"regressor.py": REGRESSOR}), ("regressor",), numeric))

    assert train.shape == (iris.n_train_rows,)
    assert np.array_equal(train, model.predict(X))
    assert np.array_equal(test, model.predict(numeric.X_test.to_numpy()))


def test_labels_in_words_reach_a_submission_as_plain_objects(iris: DataSet) -> None:
    assert load(iris).y.dtype == object
    assert load(iris).y.shape == TRAIN_IS.shape


def test_files_of_a_submission_import_each_other(iris: DataSet, submit: Submit) -> None:
    files = {"model.py": CLASSIFIER, "classifier.py": "from .model import Classifier"}
    train, _ = predictions(workflow(submit(files), ("classifier",), load(iris)))
    assert train.shape == (iris.n_train_rows, 3)


def test_a_file_named_like_the_standard_library_shadows_nothing(iris: DataSet, submit: Submit) -> None:
    checked = "import random, csv\nassert random.random and csv.reader\n" + CLASSIFIER
    files = {"classifier.py": checked, "random.py": "raise RuntimeError", "csv.py": "raise RuntimeError"}
    train, _ = predictions(workflow(submit(files), ("classifier",), load(iris)))
    assert train.shape == (iris.n_train_rows, 3)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"model.py": CLASSIFIER}, "has no file classifier.py"),
        ({"classifier.py": "class Model: pass"}, "classifier.py has no class Classifier"),
        ({"classifier.py": "Classifier = 3"}, "classifier.py has no class Classifier"),
    ],
)
def test_a_missing_element_is_named(iris: DataSet, submit: Submit, files: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        workflow(submit(files), ("classifier",), load(iris)).train()


def test_a_missing_module_of_the_submission_is_its_own_error(iris: DataSet, submit: Submit) -> None:
    folder = submit({"classifier.py": "from . import nowhere"})
    with pytest.raises(ImportError, match="nowhere"):
        workflow(folder, ("classifier",), load(iris)).train()
    folder.joinpath("classifier.py").write_text("import nowhere_at_all")
    with pytest.raises(ModuleNotFoundError, match="nowhere_at_all"):
        workflow(folder, ("classifier",), load(iris)).train()


@pytest.mark.parametrize(
    "elements", [(), ("feature_extractor",), ("classifier", "regressor"), ("regressor", "calibrator")]
)
def test_elements_that_are_no_workflow_are_refused(
    iris: DataSet, submit: Submit, elements: tuple[str, ...]
) -> None:
    with pytest.raises(DataError):
        workflow(submit({}), elements, load(iris))


def test_too_few_rows_of_a_class_for_a_calibrator_are_an_error_in_words(
    iris: DataSet, submit: Submit
) -> None:
    folder = submit({"classifier.py": CLASSIFIER, "calibrator.py": CALIBRATOR})
    few = load(iris, np.arange(4))
    with pytest.raises(DataError, match="cannot be divided for the calibrator"):
        workflow(folder, ("classifier", "calibrator"), few).train()


def test_predictions_name_the_function_that_made_them(iris: DataSet, submit: Submit) -> None:
    code = CLASSIFIER + "\n        pass\n\nClassifier.predict_proba = lambda self, X: X[:3]"
    trained = workflow(submit({"classifier.py": code}), ("classifier",), load(iris))
    trained.train()
    with pytest.raises(BadOutput, match="predict_proba of Classifier must return 120 rows") as caught:
        trained.predict_training_set()
    assert caught.value.outcome is Outcome.BAD_OUTPUT


@pytest.mark.parametrize("change", ["gone", "cut", "foreign"])
def test_split_data_that_are_not_those_of_the_split_are_a_data_error(
    iris: DataSet, tmp_path: Path, change: str
) -> None:
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_bytes((iris.folder / name).read_bytes())
    train = tmp_path / "train.csv"
    if change == "gone":
        train.unlink()
    elif change == "cut":
        train.write_bytes(train.read_bytes()[:400])
    else:
        train.write_text(train.read_text().replace("species", "kind"))
    with pytest.raises(DataError, match=r"train\.csv"):
        load(DataSet(iris.file, tmp_path, "species", iris.n_train_rows, iris.n_test_rows))
