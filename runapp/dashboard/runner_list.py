"""The page of the runners."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runapp.services.runners import runners


@login_required
@require_safe
def runner_list(request: HttpRequest) -> HttpResponse:
    """Every runner that was there within the last day, as it described itself last."""
    return render(request, "dashboard/runners.html", {"runners": runners()})
