"""Log-ins by password: the one place that the API, the login pages and the token endpoint go through."""

import ipaddress
from typing import Any, cast

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission, User
from django.db.models import Model
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

    def get_all_permissions(self, user_obj: Any, obj: Model | None = None) -> set[str]:
        """As Django's, in one query in place of two: each post asks for them."""
        if obj is not None or user_obj.is_anonymous or not user_obj.is_active or user_obj.is_superuser:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, "_perm_cache"):
            names = ("content_type__app_label", "codename")
            own = Permission.objects.filter(user=user_obj).order_by().values_list(*names)
            of_groups = Permission.objects.filter(group__user=user_obj).order_by().values_list(*names)
            user_obj._perm_cache = {f"{label}.{codename}" for label, codename in own.union(of_groups)}
        return cast("set[str]", user_obj._perm_cache)


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
