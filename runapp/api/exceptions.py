"""Where errors become answers: JSON, one shape, no traceback."""

import logging
from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import exception_handler

from runapp.errors import Conflict, DatarunError, Forbidden, InvalidInput, NotFound, TooLarge, TooManyRequests

logger = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[DatarunError], int], ...] = (
    (InvalidInput, status.HTTP_400_BAD_REQUEST),
    (Forbidden, status.HTTP_403_FORBIDDEN),
    (NotFound, status.HTTP_404_NOT_FOUND),
    (Conflict, status.HTTP_409_CONFLICT),
    (TooLarge, status.HTTP_413_REQUEST_ENTITY_TOO_LARGE),
)


def answer_exception(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer for an error that a view raised; None for a bug, which Django logs and answers with 500."""
    if isinstance(error, InvalidInput):
        return Response({error.field: [error.message]}, status=status.HTTP_400_BAD_REQUEST)
    if isinstance(error, TooManyRequests):
        return Response(**too_many(error))
    if isinstance(error, DatarunError):
        code = next((code for kind, code in _STATUS if isinstance(error, kind)), None)
        return None if code is None else Response({"detail": error.message, "code": error.code}, status=code)
    if isinstance(error, OSError | OperationalError | InterfaceError):
        logger.exception("the shared disk or the database cannot be used")
        what = "the shared disk" if isinstance(error, OSError) else "the database"
        detail = f"{what} cannot be used at the moment; nothing was written, try again later"
        return Response({"detail": detail, "code": "unavailable"}, status=status.HTTP_503_SERVICE_UNAVAILABLE)
    answer = exception_handler(error, context)
    if answer is not None and not isinstance(error, exceptions.ValidationError):
        answer.data = _detail(error, answer.data)
    return answer


def too_many(error: TooManyRequests) -> dict[str, Any]:
    """Content, status and headers of the answer for a caller who has to wait."""
    return {
        "data": {"detail": error.message, "code": error.code},
        "status": status.HTTP_429_TOO_MANY_REQUESTS,
        "headers": {"Retry-After": str(error.wait_seconds)},
    }


def _detail(error: Exception, data: Any) -> dict[str, Any]:
    if isinstance(error, Http404):
        return {"detail": "There is no such object.", "code": "not_found"}
    if isinstance(error, PermissionDenied):
        return {"detail": "You may not do this.", "code": "permission_denied"}
    code = error.get_codes() if isinstance(error, exceptions.APIException) else "error"
    return {"detail": str(data["detail"]), "code": code}


class TooManyRequestsMiddleware:
    """Answers the log-in pages' callers who have to wait; the API's views answer theirs themselves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, TooManyRequests):
            return None
        answer = render(request, "429.html", {"reason": exception.message}, status=429)
        answer.headers["Retry-After"] = str(exception.wait_seconds)
        return answer


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/runapp/")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for a path that leads nowhere."""
    if _is_api(request):
        detail = f"There is nothing at {request.path}; see /docs/. Paths end with a slash."
        return JsonResponse({"detail": detail, "code": "not_found"}, status=404)
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for a bug of ours."""
    if _is_api(request):
        return JsonResponse(
            {"detail": "The server failed; the error is logged.", "code": "error"}, status=500
        )
    # Without the request: who asks would be read from the database, which may be what failed.
    return HttpResponse(render_to_string("500.html"), status=500)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer for a request that Django itself refuses, such as one for a host that is not ours."""
    return JsonResponse({"detail": "The request cannot be understood.", "code": "bad_request"}, status=400)
