"""The example data sets of this folder and a submission for each workflow."""

import dataclasses
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
HELD_OUT_TEST = 0.2
RANDOM_STATE = 42


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """A data set with a submission; a custom one where it has a ``specific_file``."""

    name: str
    target_column: str
    workflow_elements: str
    data_file: Path
    submission_folder: Path
    extra_data_file: Path | None = None
    specific_file: Path | None = None

    @property
    def files(self) -> list[Path]:
        """All files to upload."""
        return [path for path in (self.data_file, self.extra_data_file, self.specific_file) if path]


def _iris(submission: str, workflow_elements: str) -> Example:
    return Example(
        name=f"iris_{submission}",
        target_column="species",
        workflow_elements=workflow_elements,
        data_file=FOLDER / "iris" / "iris.csv",
        submission_folder=FOLDER / "iris" / "submissions" / submission,
    )


STANDARD_EXAMPLES = (
    _iris("forest", "classifier"),
    _iris("features", "feature_extractor,classifier"),
    _iris("calibrated", "feature_extractor,classifier,calibrator"),
    Example(
        name="diabetes_forest",
        target_column="progression",
        workflow_elements="regressor",
        data_file=FOLDER / "diabetes" / "diabetes.csv",
        submission_folder=FOLDER / "diabetes" / "submissions" / "forest",
    ),
    _iris("linear", "classifier"),
)
#: What benchmarks train: a fold that takes a while, and one that costs next to nothing.
BENCH_EXAMPLES = (STANDARD_EXAMPLES[0], STANDARD_EXAMPLES[-1])
CUSTOM_EXAMPLES = (
    Example(
        name="variable_stars_forest",
        target_column="type",
        workflow_elements="feature_extractor,classifier",
        data_file=FOLDER / "variable_stars" / "variable_stars.csv",
        submission_folder=FOLDER / "variable_stars" / "submissions" / "forest",
        extra_data_file=FOLDER / "variable_stars" / "light_curves.csv",
        specific_file=FOLDER / "variable_stars" / "variable_stars_datarun.py",
    ),
)
