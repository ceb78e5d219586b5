"""How values are shown."""

import datetime

from django import template
from django.utils import timezone

from runapp.contract import State
from runapp.dashboard import untrusted_text
from runapp.models import SubmissionFold

register = template.Library()

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
_KB_PER_MB, _KB_PER_GB = 1024, 1024 * 1024
NOTHING = "\N{EN DASH}"


@register.filter
def harmless(text: object) -> str:
    """Text of a stranger, with what controls or reorders characters made seen."""
    return untrusted_text.harmless(str(text))


@register.filter
def reason(log: str) -> str:
    """The line of a log that says why a fold failed."""
    return untrusted_text.harmless(untrusted_text.reason(log))


@register.filter
def seconds(value: float | datetime.timedelta | None) -> str:
    """A duration in the units that people use: ``35 ms``, ``4.2 s``, ``3 min 20 s``, ``2 d 5 h``."""
    if value is None:
        return NOTHING
    amount = value.total_seconds() if isinstance(value, datetime.timedelta) else float(value)
    if amount < 0.0005:
        return "0 s"
    if amount < 0.9995:
        return f"{amount * 1000:.0f} ms"
    if amount < 59.95:
        return f"{amount:.1f} s"
    return _long(round(amount))


def _long(amount: int) -> str:
    for (size, name), (smaller, smaller_name) in zip(_UNITS, (*_UNITS[1:], (1, "s")), strict=True):
        if amount >= size:
            rest = amount % size // smaller
            return f"{amount // size} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{amount} s"


@register.filter
def score(value: float) -> str:
    """A score with four decimals, so that those in a column compare; large ones with four digits."""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


@register.filter
def words(name: str) -> str:
    """A name of ours as words."""
    return name.replace("_", " ")


@register.filter
def memory(kb: float | None) -> str:
    """An amount of memory, given in kB."""
    if not kb:
        return NOTHING
    return f"{kb / _KB_PER_GB:.1f} GB" if kb >= _KB_PER_GB else f"{kb / _KB_PER_MB:.0f} MB"


@register.filter
def ago(moment: datetime.datetime | None) -> str:
    """How long ago something was."""
    if moment is None:
        return NOTHING
    amount = max((timezone.now() - moment).total_seconds(), 0.0)
    if amount < 3600:
        return f"{amount:.0f} s" if amount < 60 else f"{amount / 60:.0f} min"
    return _long(round(amount))


@register.inclusion_tag("dashboard/parts/fold_state.html")
def fold_state(fold: SubmissionFold) -> dict[str, str]:
    """A fold's state and what that means at the moment."""
    return {"state": fold.state, "meaning": _meaning(fold)}


def _meaning(fold: SubmissionFold) -> str:
    if fold.state == State.ERROR:
        return words(fold.outcome)
    if fold.state == State.TODO and fold.started_at is None:
        return "to be sent" if fold.sent_at is None else "queued"
    return {State.TODO: "training", State.TRAINED: "validating", State.VALIDATED: "testing"}.get(
        State(fold.state), ""
    )
