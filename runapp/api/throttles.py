"""How often one account may post."""

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from runapp.errors import TooManyRequests
from runapp.services import counters

_WINDOW_SECONDS = 3600


class PostThrottle(BaseThrottle):
    """Keeps one account from taking the whole web server, and no more: reading is free."""

    def allow_request(self, request: Request, view: object) -> bool:
        del view
        limit = settings.MAX_POSTS_PER_HOUR
        if request.method != "POST" or not request.user.is_authenticated:
            return True
        if counters.increase(f"posts:{request.user.pk}", _WINDOW_SECONDS) > limit:
            wait = counters.seconds_left(_WINDOW_SECONDS)
            raise TooManyRequests(f"an account may post {limit} times an hour", wait_seconds=wait)
        return True
