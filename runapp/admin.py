"""Admin pages of the three models. No page loads indices or predictions."""

from collections.abc import Callable
from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest

from runapp.errors import DatarunError
from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.submission_fold import INDEX_FIELDS, PREDICTION_FIELDS
from runapp.services.fold_changes import fold_cancel, fold_retrain


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not subscriptable
    """Rows come through the API, which writes their files with them; a hand may look and delete."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(RawData)
class RawDataAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "workflow_elements",
        "split_state",
        "n_train_rows",
        "n_test_rows",
        "owner",
        "created_at",
    )
    list_filter = ("split_state", "custom")
    search_fields = ("name",)
    list_select_related = ("owner",)


@admin.register(Submission)
class SubmissionAdmin(ReadOnlyAdmin):
    list_display = ("databoard_s_id", "raw_data", "owner", "created_at")
    list_filter = ("raw_data",)
    search_fields = ("databoard_s_id",)
    list_select_related = ("raw_data", "owner")


@admin.register(SubmissionFold)
class SubmissionFoldAdmin(ReadOnlyAdmin):
    list_display = (
        "databoard_sf_id",
        "databoard_s",
        "state",
        "outcome",
        "priority",
        "runner",
        "created_at",
        "saved_at",
    )
    list_filter = ("state", "outcome", "priority", "new")
    search_fields = ("databoard_sf_id", "task_id")
    list_select_related = ("databoard_s",)
    show_full_result_count = False
    actions = ("cancel", "retrain")
    exclude = (*PREDICTION_FIELDS, *INDEX_FIELDS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubmissionFold]:
        return SubmissionFold.objects.without_large_columns()

    # Under the permission to delete, the one that lets a hand end a fold anyway.
    @admin.action(description="Cancel the selected folds", permissions=["delete"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[SubmissionFold]) -> None:
        user = cast(User, request.user)
        self._each(request, queryset, lambda fold_id: fold_cancel(fold_id, by=user), "cancelled")

    @admin.action(description="Train the selected folds anew", permissions=["delete"])
    def retrain(self, request: HttpRequest, queryset: QuerySet[SubmissionFold]) -> None:
        user = cast(User, request.user)
        self._each(request, queryset, lambda fold_id: fold_retrain(fold_id, by=user), "to be trained anew")

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[SubmissionFold],
        change: Callable[[int], object],
        done: str,
    ) -> None:
        """Change the folds one by one, and tell which could not be changed and why."""
        n_changed = 0
        for fold_id in queryset.values_list("pk", flat=True):
            try:
                change(fold_id)
                n_changed += 1
            except DatarunError as error:
                self.message_user(request, error.message, messages.WARNING)
        self.message_user(request, f"{n_changed} folds are {done}.", messages.SUCCESS)
