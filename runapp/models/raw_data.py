"""Data sets."""

import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone

from runapp.contract import DATA_SET_LIMITS, MAX_ATTEMPTS, SplitState
from runapp.messages import SplitMark, SplitOutcome
from runapp.models.rights import CHANGE_DATA, VIEW_ALL, Person, is_staff, may

SPLIT_STATE_CHOICES = [(state.value, state.value) for state in SplitState]


class Ranking(models.TextChoices):
    """What submitters see of a data set's ranking. Its organizer sees all of it in any case."""

    HIDDEN = "hidden", "nothing"
    VALIDATION = "validation", "validation scores"
    TEST = "test", "validation and test scores"


#: A split that waits to be sent to the broker.
_NOT_SENT = dict.fromkeys(("split_sent_at", "split_started_at"))


def _limit_field(what: str) -> "models.PositiveIntegerField[int | None, int | None]":
    return models.PositiveIntegerField(
        null=True, blank=True, help_text=f"{what}, where that is less than the runner allows"
    )


class RawDataQuerySet(models.QuerySet["RawData"]):
    """Whose data sets are whose, and guarded changes of a data set's split."""

    def visible_to(self, person: Person) -> Self:
        """All of them, to whoever is logged in: that a data set is there and how to submit to it."""
        return self.all() if person.is_authenticated else self.none()

    def details_visible_to(self, person: Person) -> Self:
        """Those whose files, targets, split and log somebody may see: their organizer's own."""
        if is_staff(person):
            return self.all()
        return self.filter(owner=person.pk) if person.is_authenticated else self.none()

    def with_shows_details(self, person: Person) -> Self:
        """The same rows, each with ``shows_details``: whether somebody may see its details."""
        shown = RawData.objects.details_visible_to(person).order_by().filter(pk=OuterRef("pk"))
        return self.annotate(shows_details=Exists(shown))

    def changeable_by(self, person: Person) -> Self:
        """Those that somebody may have split."""
        return self.details_visible_to(person) if may(person, CHANGE_DATA) else self.none()

    def ranking_visible_to(self, person: Person) -> Self:
        """Those whose ranking somebody may see: with no scorer there is none."""
        return self._overseen_by(person, Ranking.VALIDATION, Ranking.TEST).exclude(scorer="")

    def test_scores_visible_to(self, person: Person) -> Self:
        """Those whose test scores somebody may see, also those of their own submissions.

        Who tried again and again against the test scores would learn the labels that are held out.
        """
        return self._overseen_by(person, Ranking.TEST)

    def _overseen_by(self, person: Person, *shown: str) -> Self:
        """Those that somebody organizes, or observes, or whose ranking shows submitters one of ``shown``."""
        if may(person, VIEW_ALL):
            return self.all()
        return self.visible_to(person).filter(Q(owner=person.pk) | Q(ranking__in=shown))

    def ask_split(
        self, raw_data_id: int, *, task_id: str, held_out_test: float | None, random_state: int | None
    ) -> None:
        """Any state -> TODO. Whatever an earlier split still brings is no longer accepted."""
        self.filter(pk=raw_data_id).update(
            split_state=SplitState.TODO,
            split_task_id=task_id,
            split_sent_at=None,
            split_started_at=None,
            split_attempts=0,
            split_log="",
            held_out_test=held_out_test,
            random_state=random_state,
            n_train_rows=None,
            n_test_rows=None,
        )

    def mark_split_sent(self, task_id: str) -> None:
        self.filter(split_task_id=task_id).update(split_sent_at=timezone.now())

    def note_split_progress(self, mark: SplitMark) -> bool:
        """Note that a runner has started the split."""
        changed = self.filter(
            split_task_id=mark.task_id, split_state=SplitState.TODO, split_attempts__lte=mark.attempt
        ).update(split_started_at=timezone.now(), split_attempts=mark.attempt)
        return changed == 1

    def split_start_was_lost(self, task_id: str, *, attempt: int, story: str) -> bool:
        """TODO -> TODO to be sent again, or ERROR after the last attempt; as that of a fold."""
        lost = self.filter(split_task_id=task_id, split_state=SplitState.TODO, split_attempts__lte=attempt)
        state = SplitState.TODO if attempt < MAX_ATTEMPTS else SplitState.ERROR
        log = Concat("split_log", Value(f"{story}\n"))
        return lost.update(**_NOT_SENT, split_state=state, split_attempts=attempt, split_log=log) == 1

    def send_split_again(self, task_id: str) -> bool:
        """TODO -> TODO to be sent again, without counting a start."""
        return self.filter(split_task_id=task_id, split_state=SplitState.TODO).update(**_NOT_SENT) == 1

    def finish_split(self, outcome: SplitOutcome) -> bool:
        """TODO -> DONE or ERROR, if the outcome is that of the split asked for last; tells whether it was."""
        changed = self.filter(
            pk=outcome.raw_data_id, split_task_id=outcome.task_id, split_state=SplitState.TODO
        ).update(
            split_state=SplitState.DONE if outcome.ok else SplitState.ERROR,
            split_log=outcome.log_messages,
            n_train_rows=outcome.n_train_rows,
            n_test_rows=outcome.n_test_rows,
        )
        return changed == 1

    def splits_to_send(self) -> Self:
        """Data sets whose split was asked for but not sent to the broker."""
        return self.filter(split_state=SplitState.TODO, split_sent_at=None)

    def started_splits(self) -> Self:
        """Data sets whose split was started and is not known to have ended."""
        return self.filter(split_state=SplitState.TODO, split_started_at__isnull=False)

    def queued_splits(self) -> Self:
        """Data sets whose split was sent to the broker and not started."""
        return self.filter(split_state=SplitState.TODO, split_sent_at__isnull=False, split_started_at=None)

    def to_describe(self) -> Self:
        """Split data sets whose current split is not described yet."""
        return self.filter(split_state=SplitState.DONE, custom=False).exclude(
            described_split=F("split_task_id")
        )

    def scored(self) -> Self:
        """Data sets whose folds can be scored now."""
        return self.filter(split_state=SplitState.DONE, custom=False).exclude(scorer="")

    def claim_scoring(self, raw_data_id: int, *, seconds: float) -> bool:
        """Be the only one that scores a data set's folds, for so long; tells whether nobody else does."""
        now = timezone.now()
        is_free = Q(scoring_until=None) | Q(scoring_until__lt=now)
        until = now + datetime.timedelta(seconds=seconds)
        return self.filter(is_free, pk=raw_data_id).update(scoring_until=until) == 1

    def release_scoring(self, raw_data_id: int) -> None:
        self.filter(pk=raw_data_id).update(scoring_until=None)


class RawData(models.Model):
    """A data set and how it is learned from.

    The split goes ``NONE -> TODO -> DONE | ERROR``, and back to ``TODO`` when it is asked for again.
    Each split lies in a folder of its own, so a new one never changes data under a running fold.

    A runner keeps the lower one of its own limits and those of the data set.
    """

    name = models.CharField(max_length=100, unique=True, help_text="name of the data set")
    files_path = models.CharField(max_length=200, help_text="folder of the data set, relative to DIR_DATA")
    workflow_elements = models.CharField(
        max_length=200, blank=True, help_text="comma-separated elements of the workflow, in order"
    )
    target_column = models.CharField(max_length=200, blank=True, help_text="name of the target column")
    custom = models.BooleanField(default=False, help_text="whether a specific.py says how data are read")
    max_fold_seconds = _limit_field("seconds that a fold may take")
    max_memory_mb = _limit_field("MB of memory that a fold may use")
    max_output_mb = _limit_field("MB that a fold may print")
    max_scratch_mb = _limit_field("MB of temporary files that a fold may write")
    max_processes = _limit_field("processes and threads that a fold may have")
    scorer = models.CharField(
        max_length=60, blank=True, default="", help_text="name of a scikit-learn scorer; empty for no scores"
    )
    ranking = models.CharField(
        max_length=10,
        choices=Ranking.choices,
        default=Ranking.VALIDATION,
        help_text="what submitters see of the ranking",
    )
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    split_state = models.CharField(max_length=5, choices=SPLIT_STATE_CHOICES, default=SplitState.NONE.value)
    split_task_id = models.CharField(max_length=36, blank=True, default="", db_index=True)
    split_sent_at = models.DateTimeField(null=True, blank=True)
    split_started_at = models.DateTimeField(null=True, blank=True)
    split_attempts = models.PositiveSmallIntegerField(default=0, help_text="how often the split was started")
    split_log = models.TextField(blank=True, default="", help_text="why the split failed")
    held_out_test = models.FloatField(null=True, blank=True, help_text="part of the rows kept for testing")
    random_state = models.BigIntegerField(null=True, blank=True)
    n_train_rows = models.PositiveBigIntegerField(null=True, blank=True)
    n_test_rows = models.PositiveBigIntegerField(null=True, blank=True)
    description = models.JSONField(
        null=True, blank=True, editable=False, help_text="columns, and how the target is distributed"
    )
    described_split = models.CharField(
        max_length=36, blank=True, default="", editable=False, help_text="the split that is described"
    )
    scoring_until = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="until when somebody scores the data set's folds"
    )

    objects = RawDataQuerySet.as_manager()
    #: Set by ``with_shows_details``.
    shows_details: bool

    class Meta:
        verbose_name = "data set"
        permissions = (
            ("upload_code", "Can upload a specific.py, which runs on the runners"),
            ("view_all", "Can see all submissions and folds"),
        )
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(
                condition=Q(split_state__in=sorted(state.value for state in SplitState)),
                name="raw_data_split_state",
            ),
            models.CheckConstraint(
                condition=~Q(split_state="DONE")
                | Q(n_train_rows__isnull=False, n_train_rows__gt=0, n_test_rows__isnull=False),
                name="raw_data_done_split_has_rows",
            ),
            models.CheckConstraint(
                condition=Q(held_out_test__isnull=True) | Q(held_out_test__gt=0, held_out_test__lt=1),
                name="raw_data_held_out_test_is_a_part",
            ),
            models.CheckConstraint(condition=Q(ranking__in=sorted(Ranking.values)), name="raw_data_ranking"),
            models.CheckConstraint(
                condition=Q(custom=False) | Q(scorer=""), name="raw_data_custom_has_no_scorer"
            ),
            *(
                models.CheckConstraint(
                    condition=Q(**{f"{name}__isnull": True}) | Q(**{f"{name}__gte": least}),
                    name=f"raw_data_{name}",
                )
                for name, least in DATA_SET_LIMITS.items()
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(part for part in self.workflow_elements.split(",") if part)

    @property
    def source_folder(self) -> str:
        """Folder of the uploaded files, relative to DIR_DATA."""
        return f"{self.files_path}/raw"

    @property
    def split_folder(self) -> str:
        """Folder of the current split's data, relative to DIR_DATA."""
        return f"{self.files_path}/splits/{self.split_task_id}"
