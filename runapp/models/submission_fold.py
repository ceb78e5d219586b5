"""Submissions on cross-validation folds."""

import datetime
from collections.abc import Sequence
from typing import Any, Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone

from runapp.contract import FINAL_STATES, MAX_ATTEMPTS, Outcome, Priority, State
from runapp.messages import FoldMark, FoldOutcome
from runapp.models.raw_data import RawData
from runapp.models.rights import VIEW_ALL, Person, is_staff, may
from runapp.models.submission import Submission

STATE_CHOICES = [(state.value, state.value) for state in State]
PRIORITY_CHOICES = [(Priority.LOW.value, "low"), (Priority.HIGH.value, "high")]
OUTCOME_CHOICES = [(outcome.value, outcome.value) for outcome in Outcome]

#: Large columns that only a caller who asks for predictions should pay for.
PREDICTION_FIELDS = ("full_train_predictions", "test_predictions")
INDEX_FIELDS = ("train_is", "test_is")

# Plain sorted strings: constraints are written into migrations.
_STATES = sorted(state.value for state in State)
_FINAL = sorted(state.value for state in FINAL_STATES)
UNFINISHED_STATES = sorted(state.value for state in State if state not in FINAL_STATES)
_OUTCOMES = sorted(["", *(outcome.value for outcome in Outcome)])
_DURATIONS = ("train_time", "validation_time", "test_time", "train_cpu_time", "test_cpu_time")
_MEASURES = (*_DURATIONS, "train_memory", "test_memory")


#: A fold that has no scores yet.
NO_FOLD_SCORES: dict[str, Any] = {
    "validation_score": None, "validation_note": "", "test_score": None, "test_note": "", "scored_with": "",
}  # fmt: skip
_RUN_TIMES = ("started_at", "trained_at", "validated_at")
#: A fold that waits to be sent to the broker.
_NOT_SENT = {"state": State.TODO.value, "runner": "", **dict.fromkeys((*_RUN_TIMES, "sent_at"))}


def _clock(seconds: float | None) -> datetime.datetime | None:
    """A runner's seconds since the epoch as a time of the database."""
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)


class SubmissionFoldQuerySet(models.QuerySet["SubmissionFold"]):
    """Whose folds are whose, and guarded changes of a fold's state.

    Each change is a conditional UPDATE that tells whether it changed the fold.
    """

    def visible_to(self, person: Person) -> Self:
        """Somebody's own, and those of the submissions that they see."""
        if may(person, VIEW_ALL):
            return self.all()
        if not person.is_authenticated:
            return self.none()
        theirs = Submission.objects.visible_to(person).order_by().values("pk")
        return self.filter(Q(databoard_s__in=theirs) | Q(owner=person.pk))

    def changeable_by(self, person: Person) -> Self:
        """Those that somebody may cancel, retrain and speed up: the folds of submissions they may change."""
        if is_staff(person):
            return self.all()
        theirs = Submission.objects.changeable_by(person).order_by().values("pk")
        return self.filter(databoard_s__in=theirs)

    def with_is_own(self, person: Person) -> Self:
        """The same rows, each with ``is_own``: whether somebody may change it."""
        return self.annotate(
            is_own=Exists(SubmissionFold.objects.changeable_by(person).filter(pk=OuterRef("pk")))
        )

    def handed_out_to(self, person: Person) -> Self:
        """Those whose results wait for this caller: who posted a fold gets it, staff what nobody posted.

        Nobody takes a result away from its poster by looking at it.
        """
        if not person.is_authenticated:
            return self.none()
        theirs = Q(owner=person.pk)
        return self.filter(theirs | Q(owner=None) if is_staff(person) else theirs)

    def unfinished(self) -> Self:
        return self.exclude(state__in=FINAL_STATES)

    def without_large_columns(self) -> Self:
        return self.defer(*PREDICTION_FIELDS, *INDEX_FIELDS)

    def unsent(self) -> Self:
        """Folds that are to be trained but were not sent to the broker."""
        return self.filter(state=State.TODO, sent_at=None)

    def queued(self) -> Self:
        """Folds that were sent to the broker and that no runner is known to have started."""
        return self.filter(state=State.TODO, sent_at__isnull=False, started_at=None)

    def started(self) -> Self:
        """Folds that were started and are not known to have ended."""
        return self.filter(state__in=UNFINISHED_STATES, started_at__isnull=False)

    def mark_sent(self, task_id: str) -> bool:
        """Note that the broker has the fold's task."""
        changed = self.filter(task_id=task_id).update(sent_at=timezone.now(), times_sent=F("times_sent") + 1)
        return changed == 1

    def start_was_lost(self, task_id: str, *, attempt: int, story: str) -> bool:
        """Any unfinished state -> TODO to be sent again, or ERROR after the last attempt.

        ``story`` is a line of the log that tells what became of the start number ``attempt``. A start
        counts once, whoever tells of it.
        """
        lost = self.filter(task_id=task_id, attempts__lte=attempt).unfinished()
        log = Concat("log_messages", Value(f"{story}\n"))
        if attempt < MAX_ATTEMPTS:
            changed = lost.update(**_NOT_SENT, attempts=attempt, log_messages=log)
        else:
            changed = lost.update(
                state=State.ERROR,
                outcome=Outcome.LOST,
                attempts=attempt,
                log_messages=log,
                saved_at=timezone.now(),
            )
        return changed == 1

    def send_again(self, task_id: str) -> bool:
        """Any unfinished state -> TODO to be sent again, without counting a start."""
        return self.filter(task_id=task_id).unfinished().update(**_NOT_SENT) == 1

    def note_progress(self, mark: FoldMark) -> bool:
        """TODO -> TRAINED -> VALIDATED while the fold runs; never backwards, never out of a final state."""
        if mark.state in FINAL_STATES:
            return False  # only an outcome says that a fold is finished
        earlier = list(State)[: list(State).index(mark.state) + 1]
        changed = self.filter(
            pk=mark.fold_id, task_id=mark.task_id, state__in=earlier, attempts__lte=mark.attempt
        ).update(
            state=mark.state,
            attempts=mark.attempt,
            runner=mark.runner[:200],
            started_at=_clock(mark.started_at),
            trained_at=_clock(mark.trained_at),
            validated_at=_clock(mark.validated_at),
        )
        return changed == 1

    def finish(self, outcome: FoldOutcome) -> bool:
        """Any unfinished state -> TESTED or ERROR, if the outcome is that of the fold's current task."""
        changed = (
            self.filter(pk=outcome.fold_id, task_id=outcome.task_id)
            .unfinished()
            .update(
                state=outcome.state,
                outcome=outcome.outcome,
                attempts=outcome.attempt,
                log_messages=outcome.log_messages,
                runner=outcome.runner[:200],
                isolation=outcome.isolation[:40],
                started_at=_clock(outcome.started_at),
                trained_at=_clock(outcome.trained_at),
                validated_at=_clock(outcome.validated_at),
                tested_at=_clock(outcome.tested_at),
                saved_at=timezone.now(),
                full_train_predictions=outcome.full_train_predictions or "",
                full_train_predictions_shape=outcome.full_train_predictions_shape,
                test_predictions=outcome.test_predictions or "",
                test_predictions_shape=outcome.test_predictions_shape,
                **{name: getattr(outcome, name) for name in _MEASURES},
            )
        )
        return changed == 1

    def raise_priority(self, fold_id: int) -> bool:
        """TODO -> TODO, to be sent once more and to the queue H; a fold that was started stays as it is.

        Its task may lie in the queue L, too: whichever of the two is taken first holds the lease.
        """
        waiting = self.filter(pk=fold_id, priority=Priority.LOW, state=State.TODO, started_at=None)
        return waiting.update(priority=Priority.HIGH, sent_at=None) == 1

    def fail(self, fold_ids: Sequence[int], outcome: Outcome, log_messages: str) -> int:
        """Any unfinished state -> ERROR, for a reason the master knows; returns how many were changed."""
        return (
            self.filter(pk__in=fold_ids)
            .unfinished()
            .update(state=State.ERROR, outcome=outcome, log_messages=log_messages, saved_at=timezone.now())
        )

    def start_anew(self, fold_id: int, *, task_id: str) -> None:
        """Any state -> TODO with a fresh task: nothing that the former task still brings is accepted."""
        self.filter(pk=fold_id).update(
            task_id=task_id,
            state=State.TODO,
            outcome="",
            log_messages="",
            attempts=0,
            times_sent=0,
            new=True,
            runner="",
            isolation="",
            created_at=timezone.now(),
            **dict.fromkeys((*_RUN_TIMES, "sent_at", "tested_at", "saved_at")),
            **dict.fromkeys(PREDICTION_FIELDS, ""),
            **{f"{name}_shape": None for name in PREDICTION_FIELDS},
            **dict.fromkeys(_MEASURES, 0.0),
            **NO_FOLD_SCORES,
        )

    def to_score(self) -> Self:
        """Finished folds of scored data sets that the scorer has not been asked about, failed ones, too."""
        return self.filter(
            state__in=_FINAL, scored_with="", databoard_s__raw_data__in=RawData.objects.scored()
        )

    def drop_scores(self, raw_data_id: int) -> int:
        """Have all folds of a data set scored anew; returns how many had been."""
        scored = self.filter(databoard_s__raw_data=raw_data_id).exclude(scored_with="")
        return scored.update(**NO_FOLD_SCORES)


class SubmissionFold(models.Model):
    """A submission and the train and test indices of one cross-validation fold.

    ::

        TODO ----> TRAINED ----> VALIDATED ----> TESTED      outcome: ok
          |           |              |
          +-----------+--------------+---------> ERROR       outcome: the reason

    In TODO a fold is *to be sent* (``sent_at`` is None), then *queued*, then started
    (``started_at``). A start that was lost through no fault of the fold's own takes it back to TODO,
    to be sent again under the same ``task_id``; ``attempts`` counts the starts, and the loss of the
    last one is ERROR, ``lost``. So is no other reason ever tried again.

    TESTED and ERROR are final until the fold is started anew, which gives it a fresh ``task_id``.
    Every change is a method of ``SubmissionFoldQuerySet`` that names the states it may start from
    and, where a runner brings it, the ``task_id`` it belongs to: a late or repeated result changes
    nothing.
    """

    databoard_sf_id = models.IntegerField(
        primary_key=True, validators=[MinValueValidator(0)], help_text="id the caller gave to the fold"
    )
    databoard_s = models.ForeignKey(Submission, null=True, blank=True, on_delete=models.CASCADE)
    train_is = models.TextField(help_text="training indices: base64(zlib(little-endian int64))")
    test_is = models.TextField(help_text="test indices, encoded likewise")
    priority = models.CharField(max_length=1, choices=PRIORITY_CHOICES, default=Priority.LOW.value)
    full_train_predictions = models.TextField(
        blank=True,
        default="",
        help_text="predictions of the whole training set: base64(zlib(little-endian float64))",
    )
    full_train_predictions_shape = models.JSONField(null=True, blank=True)
    test_predictions = models.TextField(blank=True, default="", help_text="predictions of the test set")
    test_predictions_shape = models.JSONField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=STATE_CHOICES, default=State.TODO.value)
    outcome = models.CharField(max_length=12, choices=OUTCOME_CHOICES, blank=True, default="")
    log_messages = models.TextField(blank=True, default="", help_text="logs recorded during train and test")
    train_time = models.FloatField(default=0.0, help_text="wall-clock seconds of training")
    validation_time = models.FloatField(default=0.0, help_text="wall-clock seconds of validation")
    test_time = models.FloatField(default=0.0, help_text="wall-clock seconds of testing")
    train_cpu_time = models.FloatField(default=0.0, help_text="CPU seconds of training")
    test_cpu_time = models.FloatField(default=0.0, help_text="CPU seconds of validation and testing")
    train_memory = models.FloatField(default=0.0, help_text="peak memory of training, in kB")
    test_memory = models.FloatField(default=0.0, help_text="peak memory up to the end of testing, in kB")
    new = models.BooleanField(default=True, help_text="whether the result was not handed out yet")

    validation_score = models.FloatField(
        null=True, blank=True, editable=False, help_text="score on the rows of test_is not in train_is"
    )
    validation_note = models.CharField(
        max_length=300, blank=True, default="", editable=False, help_text="why there is no validation score"
    )
    test_score = models.FloatField(
        null=True, blank=True, editable=False, help_text="score on the held-out test set"
    )
    test_note = models.CharField(
        max_length=300, blank=True, default="", editable=False, help_text="why there is no test score"
    )
    scored_with = models.CharField(
        max_length=60,
        blank=True,
        default="",
        editable=False,
        help_text="scorer of the scores, once made",
    )

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    task_id = models.CharField(max_length=36, unique=True, help_text="the Celery task that trains this fold")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="how often the task was started")
    times_sent = models.PositiveIntegerField(
        default=0, editable=False, help_text="how often the task was sent to the broker"
    )
    runner = models.CharField(
        max_length=200, blank=True, default="", help_text="worker that runs or ran the fold"
    )
    isolation = models.CharField(
        max_length=40, blank=True, default="", help_text="isolation the fold ran with"
    )
    created_at = models.DateTimeField(
        default=timezone.now, editable=False, help_text="when the fold was posted"
    )
    sent_at = models.DateTimeField(null=True, blank=True, editable=False)
    started_at = models.DateTimeField(null=True, blank=True, editable=False)
    trained_at = models.DateTimeField(null=True, blank=True, editable=False)
    validated_at = models.DateTimeField(null=True, blank=True, editable=False)
    tested_at = models.DateTimeField(null=True, blank=True, editable=False)
    saved_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = SubmissionFoldQuerySet.as_manager()
    #: Set by ``with_is_own``.
    is_own: bool

    class Meta:
        verbose_name = "submission on a fold"
        verbose_name_plural = "submissions on folds"
        ordering = ("databoard_sf_id",)
        indexes = (
            models.Index(fields=("state", "saved_at"), name="fold_by_state"),
            models.Index(fields=("created_at",), name="fold_by_posting"),
            models.Index(
                fields=("databoard_sf_id",), condition=Q(state="TODO", sent_at=None), name="fold_to_send"
            ),
            models.Index(
                fields=("priority", "sent_at"),
                condition=Q(state="TODO", sent_at__isnull=False, started_at=None),
                name="fold_queued",
            ),
            models.Index(
                fields=("started_at",),
                condition=Q(state__in=UNFINISHED_STATES, started_at__isnull=False),
                name="fold_running",
            ),
            models.Index(
                fields=("databoard_sf_id",), condition=Q(new=True, state="TESTED"), name="fold_to_hand_out"
            ),
            models.Index(
                fields=("databoard_s",), condition=Q(scored_with="", state__in=_FINAL), name="fold_to_score"
            ),
        )
        constraints = (
            models.CheckConstraint(condition=Q(state__in=_STATES), name="fold_state"),
            models.CheckConstraint(condition=Q(priority__in=["H", "L"]), name="fold_priority"),
            models.CheckConstraint(condition=Q(outcome__in=_OUTCOMES), name="fold_outcome"),
            models.CheckConstraint(
                condition=Q(state=State.TESTED.value, outcome=Outcome.OK.value)
                | (Q(state=State.ERROR.value) & ~Q(outcome__in=["", Outcome.OK.value]))
                | (~Q(state__in=_FINAL) & Q(outcome="")),
                name="fold_outcome_of_state",
            ),
            models.CheckConstraint(
                condition=Q(**{f"{name}__gte": 0 for name in _MEASURES}), name="fold_measures_not_negative"
            ),
        )

    def __str__(self) -> str:
        return f"fold {self.pk}"

    @property
    def peak_memory_kb(self) -> float:
        return max(self.train_memory, self.test_memory)
