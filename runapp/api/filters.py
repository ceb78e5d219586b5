"""What lists can be narrowed to."""

from typing import Any

import django_filters

from runapp.contract import State
from runapp.models import RawData, Submission, SubmissionFold


class SubmissionFoldFilter(django_filters.FilterSet):
    """Folds by ``state``, ``new``, ``raw_data`` and ``submission``."""

    state = django_filters.MultipleChoiceFilter(choices=[(s.value, s.value) for s in State])
    raw_data = django_filters.ModelChoiceFilter(
        field_name="databoard_s__raw_data", queryset=RawData.objects.all(), label="id of the data set"
    )
    submission = django_filters.ModelChoiceFilter(
        field_name="databoard_s", queryset=Submission.objects.all(), label="id of the submission"
    )

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.request is not None:  # None where the schema is drawn
            # What a caller does not see is no choice: the answer would tell that it is there.
            self.filters["submission"].extra["queryset"] = Submission.objects.visible_to(self.request.user)

    class Meta:
        model = SubmissionFold
        fields = ("state", "new", "raw_data", "submission")
