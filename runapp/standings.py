"""How the submissions on a data set stand: every read of their folds and scores that is more than a get."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import Avg, Count, Exists, F, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from runapp.contract import Outcome, State
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.rights import Person
from runapp.models.submission_fold import NO_FOLD_SCORES

#: What a ranking can be ordered by; the first is the default.
RANKED_BY = (
    "validation_score_mean", "bagged_validation_score", "test_score_mean", "bagged_test_score",
)  # fmt: skip


def ranking(raw_data: RawData, person: Person, *, by: str = RANKED_BY[0]) -> QuerySet[Submission]:
    """All submissions on a data set with their owners, best first ``by`` one of RANKED_BY.

    Each has ``n_folds``, and ``is_seen``: whether somebody may see more of it than its place.
    """
    n_folds = (
        SubmissionFold.objects.filter(databoard_s=OuterRef("pk"))
        .order_by()
        .values("databoard_s")
        .annotate(n=Count("pk"))
        .values("n")
    )
    seen = Submission.objects.visible_to(person).order_by().filter(pk=OuterRef("pk"))
    return (
        Submission.objects.filter(raw_data=raw_data)
        .select_related("owner")
        .annotate(n_folds=Coalesce(Subquery(n_folds), 0), is_seen=Exists(seen))
        .order_by(F(by).desc(nulls_last=True), "pk")
    )


def scored_folds(raw_data: RawData) -> QuerySet[SubmissionFold]:
    """The folds on a data set with their scores, by id."""
    scores = ("databoard_sf_id", "databoard_s", "state", *NO_FOLD_SCORES)
    return SubmissionFold.objects.filter(databoard_s__raw_data=raw_data).only(*scores)


@dataclasses.dataclass(kw_only=True)
class Progress:
    """How far folds are, and what those that were tested took: seconds and kB."""

    by_state: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(map(str, State), 0))
    n_running: int = 0
    failures: dict[str, int] = dataclasses.field(default_factory=dict)
    mean_train_time: float | None = None
    mean_test_time: float | None = None
    mean_memory: float | None = None
    max_memory: float | None = None

    @property
    def n_folds(self) -> int:
        return sum(self.by_state.values())

    def add(self, row: Mapping[str, Any]) -> None:
        """Count the folds of one state and outcome."""
        self.by_state[row["state"]] += row["n"]
        self.n_running += 0 if row["outcome"] else row["n_started"]
        if row["state"] == State.ERROR:
            self.failures[row["outcome"]] = self.failures.get(row["outcome"], 0) + row["n"]
        if row["outcome"] == Outcome.OK:
            self.mean_train_time, self.mean_test_time = row["train_time"], row["test_time"]
            self.mean_memory, self.max_memory = row["memory"], row["max_memory"]


_MEASURES = {
    "n": Count("pk"),
    "n_started": Count("started_at"),
    "train_time": Avg("train_time"),
    "test_time": Avg("test_time"),
    "memory": Avg("train_memory"),
    "max_memory": Max("train_memory"),
}


def progress_of_submissions(submissions: Sequence[Submission]) -> dict[int, Progress]:
    """How far the folds of each submission are, by its id."""
    ids = [submission.pk for submission in submissions]
    found = {submission_id: Progress() for submission_id in ids}
    rows = SubmissionFold.objects.filter(databoard_s__in=ids).order_by()
    for row in rows.values("databoard_s", "state", "outcome").annotate(**_MEASURES):
        found[row["databoard_s"]].add(row)
    return found


def progress_of_data_sets(data_sets: Sequence[RawData], person: Person) -> dict[int, Progress]:
    """How far those folds on each data set are that somebody may see, by its id."""
    found = {raw_data.pk: Progress() for raw_data in data_sets}
    rows = SubmissionFold.objects.visible_to(person).filter(databoard_s__raw_data__in=list(found)).order_by()
    for row in rows.values("databoard_s__raw_data", "state", "outcome").annotate(**_MEASURES):
        found[row["databoard_s__raw_data"]].add(row)
    return found


def submission_counts(data_sets: Sequence[RawData], person: Person) -> dict[int, int]:
    """How many submissions on each data set somebody may see, by its id; none for one that has none."""
    visible = Submission.objects.visible_to(person).filter(raw_data__in=data_sets).order_by()
    return dict(visible.values_list("raw_data").annotate(n=Count("pk")))
