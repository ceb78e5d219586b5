"""The form by which an organizer changes a data set: its scorer, its ranking, the limits of its folds."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from runapp.contract import DATA_SET_LIMITS
from runapp.dashboard.requests import MAX_ID, user_of
from runapp.errors import InvalidInput
from runapp.models import Ranking, RawData
from runapp.services.data_changes import raw_data_change

#: Scorers that the form proposes; it takes every one of scikit-learn.
PROPOSED_SCORERS = (
    "accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc", "roc_auc_ovr",
    "average_precision", "r2", "neg_root_mean_squared_error", "neg_mean_absolute_error",
)  # fmt: skip
_LIMIT_LABELS = {
    "max_fold_seconds": "Seconds",
    "max_memory_mb": "Memory, MB",
    "max_output_mb": "Output, MB",
    "max_scratch_mb": "Temporary files, MB",
    "max_processes": "Processes and threads",
}


class DataSetForm(forms.Form):
    """What an organizer may change of a data set."""

    scorer = forms.CharField(
        required=False,
        max_length=60,
        widget=forms.TextInput(attrs={"list": "scorers", "autocomplete": "off", "spellcheck": "false"}),
        help_text="The name of a scikit-learn scorer; empty for no scores. Greater is better.",
    )
    ranking = forms.ChoiceField(choices=Ranking.choices, label="Submitters see of the ranking")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name, least in DATA_SET_LIMITS.items():
            self.fields[name] = forms.IntegerField(
                required=False, min_value=least, max_value=MAX_ID, label=_LIMIT_LABELS[name]
            )

    def limits(self) -> list[forms.BoundField]:
        return [self[name] for name in DATA_SET_LIMITS]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def data_set_settings(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the form, or take it; 404 to whom the data set is not to change."""
    data = get_object_or_404(RawData.objects.changeable_by(user_of(request)), pk=pk)
    names = ("scorer", "ranking", *DATA_SET_LIMITS)
    form = DataSetForm(request.POST or None, initial={name: getattr(data, name) for name in names})
    if request.method == "POST" and form.is_valid():
        try:
            raw_data_change(data, by=user_of(request), **form.cleaned_data)
        except InvalidInput as error:
            form.add_error(error.field, error.message)
        else:
            messages.success(request, "The data set is changed.")
            return redirect("data-set", pk=pk)
    context = {"data": data, "form": form, "proposed": PROPOSED_SCORERS}
    return render(request, "dashboard/data_set_settings.html", context, status=400 if form.errors else 200)
