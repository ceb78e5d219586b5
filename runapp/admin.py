"""Admin pages of the three models. No page loads indices or predictions."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from runapp.models import RawData, Submission, SubmissionFold
from runapp.models.submission_fold import INDEX_FIELDS, PREDICTION_FIELDS


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
    exclude = (*PREDICTION_FIELDS, *INDEX_FIELDS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubmissionFold]:
        return SubmissionFold.objects.without_large_columns()
