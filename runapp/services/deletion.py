"""Folds that are deleted, by a hand or with their submission or data set, must not run on."""

from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from runapp import dispatch
from runapp.contract import FINAL_STATES
from runapp.models import SubmissionFold


@receiver(post_delete, sender=SubmissionFold)
def _cancel_deleted(instance: SubmissionFold, **_: Any) -> None:
    if instance.state not in FINAL_STATES:
        task_id = instance.task_id
        transaction.on_commit(lambda: dispatch.cancel(task_id), robust=True)
