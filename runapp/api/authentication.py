"""HTTP Basic authentication that checks a password's slow hash once in a while, not at each request."""

import hmac
import secrets
from hashlib import sha256
from typing import Any

from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

#: Seconds for which a verified pair of name and password is taken without hashing it again. A changed
#: password or a locked account takes effect at once in any case.
REMEMBER_SECONDS = 300

#: Of this process only: what it signs is of no use anywhere else.
_KEY = secrets.token_bytes(32)


def _cache() -> BaseCache:
    return caches["verified"]


def _digest(stored_password: str, username: str, password: str) -> str:
    parts = (stored_password, username, password)
    framed = b"".join(
        len(p.encode("utf-8", "replace")).to_bytes(8, "little") + p.encode("utf-8", "replace") for p in parts
    )
    return hmac.new(_KEY, framed, sha256).hexdigest()


class BasicAuthentication(authentication.BasicAuthentication):
    """A caller sends the password with each request, and PBKDF2 takes a fifth of a second of CPU each time.

    A verified pair is remembered as a keyed digest over name, password and the stored hash, in this
    process alone; the user is read from the database at each request.
    """

    www_authenticate_realm = "datarun"

    def authenticate_credentials(
        self, userid: str, password: str, request: Request | None = None
    ) -> tuple[Any, None]:
        if "\0" in userid:  # which PostgreSQL cannot look for
            raise AuthenticationFailed("Invalid username/password.")
        users = get_user_model()._default_manager.filter(is_active=True)
        user = users.filter(**{get_user_model().USERNAME_FIELD: userid}).first()
        if user is not None and _cache().get(_digest(user.password, userid, password)):
            return (user, None)
        verified = super().authenticate_credentials(userid, password, request)
        stored = verified[0].password
        _cache().set(_digest(stored, userid, password), True, REMEMBER_SECONDS)
        return (verified[0], None)
