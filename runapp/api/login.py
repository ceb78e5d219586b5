"""Log-ins by password: the one place that the API, the login pages and the token endpoint go through."""

import ipaddress
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

from runapp.services import login_attempts


class LimitedLogins(ModelBackend):
    """Checks passwords as Django does, and not at all where too many attempts have failed."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        if username is None or password is None:
            return super().authenticate(request, username, password, **kwargs)
        address = caller_address(request)
        login_attempts.attempt_check(username, address)
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            login_attempts.attempt_failed(username, address)
        else:
            login_attempts.attempt_succeeded(username, address)
        return user


def caller_address(request: HttpRequest | None) -> str:
    """Where a request comes from; of IPv6 the network, of which a caller has all addresses.

    A web server on a unix socket, or asked by its own machine, is behind a proxy, which names the caller.
    """
    if request is None:
        return ""
    address = request.META.get("REMOTE_ADDR") or ""
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    if forwarded and (not address or _is_loopback(address)):
        address = forwarded
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{parsed}/64", strict=False)) if parsed.version == 6 else str(parsed)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
