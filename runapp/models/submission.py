"""Submissions."""

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone

from runapp.models.raw_data import RawData


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

    class Meta:
        ordering = ("databoard_s_id",)

    def __str__(self) -> str:
        return f"submission {self.pk}"
