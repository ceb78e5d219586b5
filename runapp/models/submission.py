"""Submissions."""

from typing import Self

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from runapp.models.raw_data import RawData
from runapp.models.rights import CHANGE_SUBMISSION, VIEW_ALL, Person, is_staff, may


class SubmissionQuerySet(models.QuerySet["Submission"]):
    """Whose submissions are whose."""

    def visible_to(self, person: Person) -> Self:
        """Somebody's own, and those on the data sets that they organize; an observer sees all."""
        return self.all() if may(person, VIEW_ALL) else self._concerning(person)

    def changeable_by(self, person: Person) -> Self:
        """Those that somebody may replace by force, and whose folds they may cancel, retrain and speed up."""
        if is_staff(person):
            return self.all()
        return self._concerning(person) if may(person, CHANGE_SUBMISSION) else self.none()

    def with_is_own(self, person: Person) -> Self:
        """The same rows, each with ``is_own``: whether somebody may change it."""
        return self.annotate(
            is_own=Exists(Submission.objects.changeable_by(person).filter(pk=OuterRef("pk")))
        )

    def _concerning(self, person: Person) -> Self:
        if not person.is_authenticated:
            return self.none()
        return self.filter(Q(owner=person.pk) | Q(raw_data__owner=person.pk))


class Submission(models.Model):
    """A machine-learning model: the files a participant handed in.

    The files lie in a folder named by their content, so files handed in anew never change what a
    running fold reads.
    """

    databoard_s_id = models.IntegerField(
        primary_key=True, validators=[MinValueValidator(0)], help_text="id the caller gave to the submission"
    )
    files_path = models.CharField(  # noqa: DJ001 - as the former releases' column
        max_length=200, null=True, help_text="folder of the files, relative to DIR_SUBMISSION"
    )
    files_hash = models.CharField(max_length=64, help_text="hash of names and contents of the files")
    raw_data = models.ForeignKey(RawData, null=True, blank=True, on_delete=models.CASCADE)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = SubmissionQuerySet.as_manager()
    #: Set by ``with_is_own``.
    is_own: bool

    class Meta:
        ordering = ("databoard_s_id",)

    def __str__(self) -> str:
        return f"submission {self.pk}"
