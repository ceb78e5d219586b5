import importlib.util
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import ShuffleSplit

from runapp.contract import SPECIFIC_FUNCTIONS, WORKFLOW_ELEMENTS
from test_files.examples import CUSTOM_EXAMPLES, FOLDER, STANDARD_EXAMPLES
from test_files.local_training import train_in_process

EXAMPLES = [*STANDARD_EXAMPLES, *CUSTOM_EXAMPLES]
MAX_BYTES = 300_000

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


def module_at(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_iris_is_what_its_script_makes():
    made = module_at(FOLDER / "iris" / "make_iris.py").iris_csv()
    assert (FOLDER / "iris" / "iris.csv").read_bytes() == made.encode()


def test_diabetes_is_what_its_script_makes():
    made = module_at(FOLDER / "diabetes" / "make_diabetes.py").diabetes_csv()
    assert (FOLDER / "diabetes" / "diabetes.csv").read_bytes() == made.encode()


def test_the_variable_stars_are_what_their_script_makes():
    stars, curves = module_at(FOLDER / "variable_stars" / "make_variable_stars.py").variable_stars()
    assert (FOLDER / "variable_stars" / "variable_stars.csv").read_bytes() == stars.encode()
    assert (FOLDER / "variable_stars" / "light_curves.csv").read_bytes() == curves.encode()


def test_the_light_curves_differ_in_length():
    curves = pd.read_csv(FOLDER / "variable_stars" / "light_curves.csv")
    lengths = curves.groupby("star_id").size()
    assert len(lengths) == 150
    assert lengths.nunique() > 20


def test_the_example_data_stay_small():
    assert sum(path.stat().st_size for path in FOLDER.glob("*/*.csv")) < MAX_BYTES


@every_example
def test_a_submission_has_a_file_for_each_element_of_its_workflow(example):
    files = {path.stem for path in example.submission_folder.glob("*.py")}
    assert files == set(example.workflow_elements.split(","))
    assert files <= set(WORKFLOW_ELEMENTS)


@every_example
def test_a_submission_learns_and_predicts_the_same_each_time(example):
    training = train_in_process(example)
    train_is, test_is = next(
        ShuffleSplit(1, test_size=0.25, random_state=3).split(np.zeros((len(training.y), 1)))
    )
    predicted, again = training.predictions(train_is), training.predictions(train_is)
    assert predicted.full_train.tobytes() == again.full_train.tobytes()
    assert predicted.test.tobytes() == again.test.tobytes()
    assert len(predicted.full_train) == len(training.y)
    assert np.isfinite(predicted.test).all()
    assert skill(predicted.full_train[test_is], training.y[test_is], np.unique(training.y)) > 0.25


def skill(predictions, y, classes):
    """1 for perfect predictions, 0 for those of someone who never saw X."""
    if predictions.ndim == 1:
        return 1 - np.mean((predictions - y) ** 2) / np.var(y)
    np.testing.assert_allclose(predictions.sum(axis=1), 1.0)
    chance = max(np.mean(y == name) for name in classes)
    return (np.mean(classes[predictions.argmax(axis=1)] == y) - chance) / (1 - chance)


def test_other_rows_give_other_predictions():
    training = train_in_process(STANDARD_EXAMPLES[0])
    first = training.predictions(np.arange(80))
    assert first.test.tobytes() != training.predictions(np.arange(40, 120)).test.tobytes()


@pytest.fixture
def stars(tmp_path):
    example = CUSTOM_EXAMPLES[0]
    for path in example.files:
        shutil.copy(path, tmp_path)
    specific = module_at(example.specific_file)
    specific.prepare_data(str(tmp_path))
    return specific, tmp_path


def test_the_custom_data_set_has_the_functions_of_the_contract(stars):
    specific, _ = stars
    found = {name: getattr(specific, name).__code__.co_argcount for name in SPECIFIC_FUNCTIONS}
    assert found == SPECIFIC_FUNCTIONS


def test_no_star_is_both_in_the_training_and_in_the_test_set(stars):
    _, folder = stars
    train, test = (
        set(pd.read_csv(folder / f"{part}_light_curves.csv")["star_id"]) for part in ("train", "test")
    )
    assert (len(train), len(test)) == (120, 30)
    assert not train & test


def test_the_stars_are_dicts_with_their_own_light_curves(stars):
    specific, folder = stars
    X, y = specific.get_train_data(str(folder))
    all_curves = pd.read_csv(folder / "light_curves.csv")
    all_stars = pd.read_csv(folder / "train_stars.csv")
    assert len(X) == len(y) == 120
    for number in (0, 60, 119):
        expected = all_curves[all_curves["star_id"] == all_stars["star_id"][number]]["magnitude"]
        assert X[number]["magnitude"].tolist() == expected.tolist()
        assert y[number] == all_stars["type"][number]


def test_submissions_are_imported_from_the_package_they_are_given(stars, monkeypatch, tmp_path):
    specific, folder = stars
    package = tmp_path / "given_package"
    shutil.copytree(CUSTOM_EXAMPLES[0].submission_folder, package)
    monkeypatch.syspath_prepend(str(tmp_path))
    X, y = specific.get_train_data(str(folder))
    specific.train_submission("given_package", X, y, np.arange(60))
    assert "given_package.feature_extractor" in sys.modules
