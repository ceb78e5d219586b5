"""Write iris.csv from scikit-learn's own copy of the data set: ``python make_iris.py``."""

from pathlib import Path

from sklearn.datasets import load_iris

FILE = Path(__file__).resolve().parent / "iris.csv"


def iris_csv() -> str:
    """The 150 flowers as CSV: four lengths in cm and the species."""
    iris = load_iris(as_frame=True)
    frame = iris.data.rename(columns=lambda name: name.removesuffix(" (cm)"))
    frame["species"] = iris.target_names[iris.target]
    return frame.to_csv(index=False, lineterminator="\n")


if __name__ == "__main__":
    FILE.write_text(iris_csv(), encoding="utf-8", newline="\n")
