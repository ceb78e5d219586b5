"""A request whose body is too large is answered with 413 before anything of it is kept."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase, JsonResponse

_CHUNK_BYTES = 1 << 20
#: A client that is still sending does not read an answer: this much of a body is read and dropped first.
_DRAINED_BYTES = 1 << 30


class BodyLimitMiddleware:
    """Refuses bodies above ``settings.MAX_BODY_BYTES``. One without a declared length is not read at all."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            length = int(request.META.get("CONTENT_LENGTH") or 0)
        except ValueError:
            length = 0  # as Django reads it: no body
        if length <= settings.MAX_BODY_BYTES:
            return self.get_response(request)
        for _ in range(min(length, _DRAINED_BYTES) // _CHUNK_BYTES + 1):
            if not request.read(_CHUNK_BYTES):
                break
        detail = f"the body has {length} bytes; this server accepts {settings.MAX_BODY_BYTES}"
        return JsonResponse({"detail": detail, "code": "too_large"}, status=413)
