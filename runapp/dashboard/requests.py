"""What pages read from a request: who asks, and the numbers of its query, of which none is trusted."""

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest

#: The largest id that the tables hold.
MAX_ID = 2**31 - 1


def user_of(request: HttpRequest) -> User:
    """Who asks; for pages that need a login."""
    return cast(User, request.user)


def number(request: HttpRequest, name: str) -> int | None:
    """An id of the query; None where there is none, or no number that an id can be."""
    text = request.GET.get(name, "").strip()
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_ID)):
        return None
    found = int(text)
    return found if found <= MAX_ID else None
