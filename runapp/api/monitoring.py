"""What monitoring asks: ``/healthz``, ``/readyz`` and ``/metrics``. Plain, without a session."""

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from runapp.api.metrics import exposition
from runapp.services import health

#: However often it is asked, the database is not counted more often.
_METRICS_SECONDS = 5

View = Callable[[HttpRequest], HttpResponse]


def for_monitoring(view: View) -> View:
    """Let only callers of the networks in ``DR_METRICS_ALLOW`` in.

    Behind a proxy both count, its own address and that of the caller it names last, which it saw
    itself: so a caller cannot talk itself in.
    """

    def guarded(request: HttpRequest) -> HttpResponse:
        # A web server on a unix socket knows no address of its proxy, which is on this machine then.
        addresses = [request.META.get("REMOTE_ADDR") or "127.0.0.1"]
        if forwarded := request.META.get("HTTP_X_FORWARDED_FOR"):
            addresses.append(forwarded.rpartition(",")[2].strip())
        if not all(map(_is_allowed, addresses)):
            return JsonResponse(
                {"detail": "This is for monitoring.", "code": "permission_denied"}, status=403
            )
        return view(request)

    return guarded


def _is_allowed(address: str) -> bool:
    try:
        caller = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(caller in network for network in settings.METRICS_ALLOW)


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process is alive; nothing else is looked at."""
    del request
    return HttpResponse("ok\n", content_type="text/plain")


@for_monitoring
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Database, broker and shared disk can be used; 503 otherwise."""
    del request
    findings = [look() for look in health.READINESS]
    answer = {finding.name: "ok" if finding.is_well else finding.detail for finding in findings}
    return JsonResponse(answer, status=200 if all(f.is_well for f in findings) else 503)


@for_monitoring
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Numbers for Prometheus."""
    del request
    return HttpResponse(
        cache.get_or_set("metrics", exposition, _METRICS_SECONDS), content_type=CONTENT_TYPE_LATEST
    )
