"""Write diabetes.csv from scikit-learn's own copy of the data set: ``python make_diabetes.py``."""

from pathlib import Path

from sklearn.datasets import load_diabetes

FILE = Path(__file__).resolve().parent / "diabetes.csv"


def diabetes_csv() -> str:
    """The 442 patients as CSV: ten measurements in their own units, and ``progression`` a year later."""
    diabetes = load_diabetes(as_frame=True, scaled=False)
    frame = diabetes.data.assign(progression=diabetes.target.astype(int)).round(4)
    return frame.to_csv(index=False, lineterminator="\n")


if __name__ == "__main__":
    FILE.write_text(diabetes_csv(), encoding="utf-8", newline="\n")
