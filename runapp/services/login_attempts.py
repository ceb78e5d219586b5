"""Failed log-ins, counted so that no password is found by trying.

They are counted by user name and by address, in windows of a few minutes. A stranger who fails on
purpose must not lock anybody out: an address from which an account logged in before has a count of its
own for that account, and sessions, tokens and passwords verified lately are not asked at all.
"""

import hashlib

from django.conf import settings

from runapp.errors import TooManyRequests
from runapp.services import counters

WINDOW_SECONDS = 300
#: Many people share an address: it may fail as often as so many accounts.
_NAMES_PER_ADDRESS = 5
_REMEMBER_SECONDS = 30 * 24 * 3600


def attempt_check(name: str, address: str) -> None:
    """Raise TooManyRequests if too many log-ins to an account, or from an address, have failed."""
    limit = settings.MAX_LOGIN_FAILURES
    for key, most in (
        (_account_key(name, address), limit),
        (_address_key(address), limit * _NAMES_PER_ADDRESS),
    ):
        if counters.count(key, WINDOW_SECONDS) >= most:
            wait = counters.seconds_left(WINDOW_SECONDS)
            raise TooManyRequests(f"too many log-ins have failed; try again in {wait} s", wait_seconds=wait)


def attempt_failed(name: str, address: str) -> None:
    counters.increase(_account_key(name, address), WINDOW_SECONDS)
    counters.increase(_address_key(address), WINDOW_SECONDS)


def attempt_succeeded(name: str, address: str) -> None:
    """Remember from where an account logs in."""
    counters.remember(_pair(name, address), _REMEMBER_SECONDS)


def _account_key(name: str, address: str) -> str:
    pair = _pair(name, address)
    return pair if counters.is_remembered(pair) else f"login:name:{_digest(name)}"


def _address_key(address: str) -> str:
    return f"login:address:{_digest(address)}"


def _pair(name: str, address: str) -> str:
    return f"login:pair:{_digest(name, address)}"


def _digest(*parts: str) -> str:
    # What somebody typed may be of any length, and a password in the wrong field.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]
