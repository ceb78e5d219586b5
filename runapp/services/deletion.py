"""Folds that are deleted, by a hand or with their submission or data set, must not run on."""

from typing import Any

from django.db import transaction
from django.db.models import Model, QuerySet
from django.db.models.signals import post_delete
from django.dispatch import receiver

from runapp import dispatch
from runapp.contract import FINAL_STATES
from runapp.models import RawData, Submission, SubmissionFold


@receiver(post_delete, sender=SubmissionFold)
def _cancel_deleted(instance: SubmissionFold, **_: Any) -> None:
    if instance.state not in FINAL_STATES:
        task_id = instance.task_id
        transaction.on_commit(lambda: dispatch.cancel(task_id), robust=True)


def going_with(rows: QuerySet[Any]) -> dict[type[Model], QuerySet[Any]]:
    """What goes when rows of one of the three models are deleted, themselves included, folds first."""
    if rows.model is SubmissionFold:
        return {SubmissionFold: rows}
    submissions = rows
    if rows.model is RawData:
        submissions = Submission.objects.filter(raw_data__in=rows.order_by().values("pk"))
    within: Any = submissions.order_by().values("pk")
    folds = SubmissionFold.objects.filter(databoard_s__in=within)
    found: dict[type[Model], QuerySet[Any]] = {SubmissionFold: folds, Submission: submissions}
    return found | ({RawData: rows} if rows.model is RawData else {})


@transaction.atomic
def rows_delete(rows: QuerySet[Any]) -> None:
    """Delete rows with what belongs to them, without loading what their folds hold."""
    for model, found in going_with(rows).items():
        (found.only("pk", "state", "task_id") if model is SubmissionFold else found).delete()
