"""What people see of the service."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from runapp import selectors

_N_LATEST = 30


@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """Data sets, folds by state, and the folds posted last."""
    return render(
        request,
        "dashboard/overview.html",
        {
            "states": selectors.folds_by_state(),
            "data_sets": selectors.data_sets_with_counts(),
            "folds": selectors.latest_folds(_N_LATEST),
        },
    )
