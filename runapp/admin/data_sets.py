"""Admin pages of data sets."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from runapp.admin.read_only import ReadOnlyAdmin, list_link, owner_link
from runapp.models import RawData


@admin.register(RawData)
class RawDataAdmin(ReadOnlyAdmin):
    list_display = (
        "name", "workflow_elements", "custom", "split_state", "n_train_rows", "n_test_rows", owner_link,
        "created_at", "submissions", "folds",
    )  # fmt: skip
    list_filter = ("split_state", "custom")
    date_hierarchy = "created_at"
    number_lookups = ("pk",)
    text_lookups = ("name__icontains", "owner__username__iexact")
    list_select_related = ("owner",)
    readonly_fields = ("submissions", "folds")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RawData]:
        return RawData.objects.visible_to(request.user)

    @admin.display(description="submissions")
    def submissions(self, raw_data: RawData) -> SafeString:
        return list_link("submission", f"raw_data__id__exact={raw_data.pk}", "submissions")

    @admin.display(description="folds")
    def folds(self, raw_data: RawData) -> SafeString:
        return list_link("submissionfold", f"databoard_s__raw_data__id__exact={raw_data.pk}", "folds")
