"""What lists can be narrowed to."""

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

    class Meta:
        model = SubmissionFold
        fields = ("state", "new", "raw_data", "submission")
