"""One's own account: what it may do, and its token."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from rest_framework.authtoken.models import Token

from runapp.dashboard.requests import user_of
from runapp.models.rights import ADD_DATA, ADD_SUBMISSION, UPLOAD_CODE, VIEW_ALL, is_staff, may
from runapp.services.accounts import token_make, token_revoke

_ABILITIES = {
    ADD_DATA: "upload data sets, and see all submissions and folds on them",
    UPLOAD_CODE: "upload data sets with a specific.py",
    ADD_SUBMISSION: "hand in submissions to all data sets, and see those of your own",
    VIEW_ALL: "see all submissions and folds",
}


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Show what an account may do; make its token, which is shown by this one answer, or revoke it."""
    user, made = user_of(request), None
    if request.method == "POST" and request.POST.get("what") == "revoke":
        token_revoke(user)
        messages.success(request, "Your token is revoked.")
        return redirect("account")
    if request.method == "POST" and request.POST.get("what") == "make":
        made = token_make(user)
    context = {
        "is_staff": is_staff(user),
        "abilities": [words for permission, words in _ABILITIES.items() if may(user, permission)],
        "made": made,
        "token_since": Token.objects.filter(user=user).values_list("created", flat=True).first(),
    }
    return render(request, "account.html", context)
