"""What a data set holds, read once after its split: its columns, and how its target is distributed."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from django.conf import settings

from runapp.contract import TEST_FILE, TRAIN_FILE
from runapp.models import RawData
from runapp.scoring import CannotScore, Labels, read_labels

#: A chart of more is not looked at; the other classes are counted together.
MAX_SHOWN_CLASSES = 20
N_BINS = 12
_LABEL_CHARS = 60
MAX_SHOWN_COLUMNS = 200

logger = logging.getLogger(__name__)


def describe_what_is_due() -> int:
    """Describe the current split of each data set that has one and is not described; returns how many."""
    n_described = 0
    for raw_data in RawData.objects.to_describe():
        try:
            description = _described(raw_data)
        except OSError as error:
            logger.warning("data set %d cannot be read now, the sweep asks again: %s", raw_data.pk, error)
            continue
        same_split = RawData.objects.filter(pk=raw_data.pk, split_task_id=raw_data.split_task_id)
        n_described += same_split.update(description=description, described_split=raw_data.split_task_id)
    return n_described


def _described(raw_data: RawData) -> dict[str, Any] | None:
    """The description of a data set; None where its files are not what the split wrote.

    ``columns`` are names of columns, of which there are ``n_columns`` in all. ``target`` has counts of
    rows in ``train`` and ``test``: for each of ``classes``, or between each two of ``edges``.
    Raises ``OSError`` if they cannot be read now.
    """
    folder = settings.ENVIRONMENT.dir_data / raw_data.split_folder
    try:
        columns = _columns(folder / TRAIN_FILE)
        y_train, y_test = (
            read_labels(folder / name, raw_data.target_column, n_rows or 0)
            for name, n_rows in ((TRAIN_FILE, raw_data.n_train_rows), (TEST_FILE, raw_data.n_test_rows))
        )
        classify = "classifier" in raw_data.elements
        target = _class_counts(y_train, y_test) if classify else _histograms(y_train, y_test)
    except (CannotScore, ValueError, TypeError) as error:
        logger.warning("data set %d cannot be described: %s", raw_data.pk, error)
        return None
    return {
        "columns": [name[:_LABEL_CHARS] for name in columns[:MAX_SHOWN_COLUMNS]],
        "n_columns": len(columns),
        "target": target,
    }


def _columns(path: Path) -> list[str]:
    return [str(name) for name in pd.read_csv(path, nrows=0).columns]


def _class_counts(y_train: Labels, y_test: Labels) -> dict[str, Any]:
    train, test = (pd.Series(y.astype(str)).value_counts() for y in (y_train, y_test))
    counts = pd.DataFrame({"train": train, "test": test}).fillna(0).astype(int)
    in_order = counts.assign(all=counts.sum(axis=1)).sort_values("all", ascending=False, kind="stable")
    shown, others = in_order[:MAX_SHOWN_CLASSES].sort_index(), in_order[MAX_SHOWN_CLASSES:]
    names = [str(name)[:_LABEL_CHARS] for name in shown.index]
    distribution = {part: [int(n) for n in shown[part]] for part in ("train", "test")}
    if len(others):
        names.append(f"{len(others)} other classes")
        for part, values in distribution.items():
            values.append(int(others[part].sum()))
    return {"classes": names, "n_classes": len(counts), **distribution}


def _histograms(y_train: Labels, y_test: Labels) -> dict[str, Any]:
    train, test = (y.astype(np.float64) for y in (y_train, y_test))
    edges = np.histogram_bin_edges(np.concatenate([train, test]), bins=N_BINS)
    return {
        "edges": [float(edge) for edge in edges],
        "train": [int(n) for n in np.histogram(train, edges)[0]],
        "test": [int(n) for n in np.histogram(test, edges)[0]],
    }
