"""Admin pages of folds."""

from collections.abc import Callable
from itertools import islice
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from runapp.admin.read_only import ReadOnlyAdmin, link, owner_link, user_of
from runapp.errors import DatarunError
from runapp.models import SubmissionFold
from runapp.models.submission_fold import INDEX_FIELDS, PREDICTION_FIELDS
from runapp.services.fold_changes import fold_cancel, fold_raise_priority, fold_retrain

#: Folds that one action changes; more would outlast the web server's patience.
MAX_CHANGED = 500
_MAX_REASONS = 5


@admin.register(SubmissionFold)
class SubmissionFoldAdmin(ReadOnlyAdmin):
    list_display = (
        "databoard_sf_id", "submission", "data_set", "state", "outcome", "priority", "runner", owner_link,
        "created_at", "saved_at", "task",
    )  # fmt: skip
    list_filter = ("state", "outcome", "priority", "new", "databoard_s__raw_data")
    date_hierarchy = "created_at"
    number_lookups = ("pk", "databoard_s")
    text_lookups = ("task_id", "runner")
    list_select_related = ("databoard_s__raw_data", "owner")
    exclude = (*PREDICTION_FIELDS, *INDEX_FIELDS)
    readonly_fields = ("data_set", "task")
    actions = ("cancel", "retrain", "raise_priority")

    def get_queryset(self, request: HttpRequest) -> QuerySet[SubmissionFold]:
        return SubmissionFold.objects.visible_to(request.user).without_large_columns()

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # Where the pages of submissions lead from; Django allows the filters of the list alone.
        named = lookup == "databoard_s__databoard_s_id__exact"
        return named or super().lookup_allowed(lookup, value, request)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Rows are changed by the actions only, under the permission to change them."""
        return bool(request.user.has_perm("runapp.change_submissionfold"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[SubmissionFold], search_term: str
    ) -> tuple[QuerySet[SubmissionFold], bool]:
        """As of all rows; the name of an account finds what it posted."""
        owner = User.objects.filter(username__iexact=search_term.strip().replace("\0", "")).first()
        if owner is not None:
            return queryset.filter(owner=owner), False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="submission", ordering="databoard_s")
    def submission(self, fold: SubmissionFold) -> str | SafeString:
        return (
            link("runapp_submission_change", fold.databoard_s_id, fold.databoard_s_id)
            if fold.databoard_s
            else "-"
        )

    @admin.display(description="data set")
    def data_set(self, fold: SubmissionFold) -> str | SafeString:
        raw_data = fold.databoard_s.raw_data if fold.databoard_s else None
        return link("runapp_rawdata_change", raw_data.pk, raw_data) if raw_data else "-"

    @admin.display(description="task in Flower")
    def task(self, fold: SubmissionFold) -> str | SafeString:
        """The page of Flower about a fold's task, where there is a Flower."""
        if not settings.FLOWER_URL:
            return "-"
        return format_html('<a href="{}task/{}">{}</a>', settings.FLOWER_URL, fold.task_id, fold.task_id[:8])

    @admin.action(description="Cancel the selected folds", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[SubmissionFold]) -> None:
        user = user_of(request)
        self._each(request, queryset, lambda pk: fold_cancel(pk, by=user), "cancelled")

    @admin.action(description="Train the selected folds anew", permissions=["operate"])
    def retrain(self, request: HttpRequest, queryset: QuerySet[SubmissionFold]) -> None:
        user = user_of(request)
        self._each(request, queryset, lambda pk: fold_retrain(pk, by=user), "to be trained anew")

    @admin.action(description="Have the selected folds taken first", permissions=["operate"])
    def raise_priority(self, request: HttpRequest, queryset: QuerySet[SubmissionFold]) -> None:
        user = user_of(request)
        self._each(request, queryset, lambda pk: fold_raise_priority(pk, by=user), "of high priority")

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[SubmissionFold],
        change: Callable[[int], Any],
        done: str,
    ) -> None:
        """Change the folds one by one, and tell how many were changed, and why others were not."""
        fold_ids = list(queryset.values_list("pk", flat=True)[: MAX_CHANGED + 1])
        reasons: list[str] = []
        n_asked = min(len(fold_ids), MAX_CHANGED)
        for fold_id in islice(fold_ids, n_asked):
            try:
                change(fold_id)
            except DatarunError as error:
                reasons.append(error.message)
        for reason in reasons[:_MAX_REASONS]:
            self.message_user(request, reason, messages.WARNING)
        if len(reasons) > _MAX_REASONS:
            self.message_user(request, f"and {len(reasons) - _MAX_REASONS} more", messages.WARNING)
        self.message_user(request, f"{n_asked - len(reasons)} folds are {done}.", messages.SUCCESS)
        if len(fold_ids) > MAX_CHANGED:
            words = f"These were the first {MAX_CHANGED}; do it again for the others."
            self.message_user(request, words, messages.WARNING)
