"""Admin pages of submissions."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from runapp.admin.read_only import ReadOnlyAdmin, link, list_link, owner_link
from runapp.models import Submission


@admin.register(Submission)
class SubmissionAdmin(ReadOnlyAdmin):
    list_display = ("databoard_s_id", "data_set", owner_link, "created_at", "files_hash", "folds")
    list_filter = ("raw_data",)
    date_hierarchy = "created_at"
    number_lookups = ("pk",)
    text_lookups = ("files_hash", "raw_data__name", "owner__username__iexact")
    list_select_related = ("raw_data", "owner")
    readonly_fields = ("folds",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Submission]:
        return Submission.objects.visible_to(request.user)

    @admin.display(description="data set", ordering="raw_data__name")
    def data_set(self, submission: Submission) -> str | SafeString:
        raw_data = submission.raw_data
        return link("runapp_rawdata_change", raw_data.pk, raw_data) if raw_data else "-"

    @admin.display(description="folds")
    def folds(self, submission: Submission) -> SafeString:
        return list_link("submissionfold", f"databoard_s__databoard_s_id__exact={submission.pk}", "folds")
