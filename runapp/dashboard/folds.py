"""The page of one fold, its log while it runs, and what may be done with it."""

import dataclasses
import datetime
from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from runapp import dispatch
from runapp.contract import FINAL_STATES, Priority, State
from runapp.dashboard import timeline
from runapp.dashboard.requests import user_of
from runapp.errors import DatarunError
from runapp.messages import FoldMark
from runapp.models import Submission, SubmissionFold
from runapp.services.fold_changes import fold_cancel, fold_raise_priority, fold_retrain

#: Folds of one submission that one request changes at most; whoever has more asks again.
MAX_AT_ONCE = 500
#: Of a log the end is shown.
MAX_LOG_CHARS = 100_000


@dataclasses.dataclass(frozen=True)
class Action:
    """Something that can be done with a fold, and what is asked and said of it."""

    do: Callable[[int, User], object]
    question: str
    button: str
    done: str
    states: tuple[State, ...]


_UNFINISHED = tuple(state for state in State if state not in FINAL_STATES)

ACTIONS = {
    "cancel": Action(
        lambda pk, user: fold_cancel(pk, by=user),
        "Queued it is never started, running it is stopped within a second. What it has done so far is lost.",
        "Cancel",
        "cancelled",
        _UNFINISHED,
    ),
    "retrain": Action(
        lambda pk, user: fold_retrain(pk, by=user),
        "It is trained anew with the files that the submission has. Its results so far are dropped.",
        "Retrain",
        "to be trained anew",
        (State.ERROR,),
    ),
    "priority": Action(
        lambda pk, user: fold_raise_priority(pk, by=user),
        "It is taken before all folds of low priority.",
        "Raise priority",
        "sent to the queue of high priority",
        (State.TODO,),
    ),
}


def _action(name: str) -> Action:
    try:
        return ACTIONS[name]
    except KeyError:
        raise Http404 from None


@login_required
@require_safe
def fold_page(request: HttpRequest, pk: int) -> HttpResponse:
    """A fold: its state, times, measures and log; 404 to whom it is not shown."""
    user = user_of(request)
    folds = SubmissionFold.objects.visible_to(user).without_large_columns()
    fold = get_object_or_404(folds.select_related("databoard_s__raw_data", "owner"), pk=pk)
    if fold.state not in FINAL_STATES:
        _show_progress(fold)
    now = timezone.now()
    is_finished = fold.state in FINAL_STATES
    context = {
        "fold": fold,
        "submission": fold.databoard_s,
        "may_open_submission": _may_open(fold, user),
        "may_change": SubmissionFold.objects.changeable_by(user).filter(pk=pk).exists(),
        "parts": timeline.parts(fold, now, scale_seconds=timeline.total_seconds(fold, now)),
        "steps": timeline.steps(fold),
        "timeline_key": timeline.KEY,
        "log": _log(fold),
        "log_is_cut": len(fold.log_messages) > MAX_LOG_CHARS,
        "is_finished": is_finished,
        "waits": fold.state == State.TODO and fold.started_at is None,
        "is_low": fold.priority == Priority.LOW,
    }
    return render(request, "dashboard/fold.html", context)


def _show_progress(fold: SubmissionFold) -> None:
    """Have an unfinished fold say what its runner says now, and the database learns at the next sweep."""
    try:
        mark = dispatch.exchange().read_mark(fold.task_id)
    except OSError:
        return  # the overview says that the disk is gone
    if not isinstance(mark, FoldMark) or mark.state in FINAL_STATES:
        return
    fold.state, fold.runner, fold.attempts = mark.state.value, mark.runner, mark.attempt
    for name in ("started_at", "trained_at", "validated_at"):
        seconds = getattr(mark, name)
        at = None if seconds is None else datetime.datetime.fromtimestamp(seconds, tz=datetime.UTC)
        setattr(fold, name, at)


def _log(fold: SubmissionFold) -> str:
    """The end of a fold's log; of one that is not finished, with what it prints."""
    said = fold.log_messages[-MAX_LOG_CHARS:]
    if fold.state in FINAL_STATES:
        return said
    printed = dispatch.exchange().read_output(fold.task_id)
    return f"{said}{printed}" if printed else said


def _may_open(fold: SubmissionFold, user: User) -> bool:
    """Whether the page of a fold's submission is shown to somebody who sees the fold."""
    submission = fold.databoard_s
    return submission is not None and Submission.objects.visible_to(user).filter(pk=submission.pk).exists()


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def fold_action(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Ask whether something is to be done with a fold (GET), or do it (POST)."""
    action, user = _action(name), user_of(request)
    folds = SubmissionFold.objects.changeable_by(user).without_large_columns()
    fold = get_object_or_404(folds, pk=pk)
    if request.method != "POST":
        context = {"action": action, "what": f"fold {pk}", "back": request.path.rsplit("/", 2)[0] + "/"}
        return render(request, "dashboard/confirm.html", context)
    try:
        action.do(fold.pk, user)
        messages.success(request, f"Fold {pk} is {action.done}.")
    except DatarunError as error:
        messages.error(request, f"{error.message[:1].upper()}{error.message[1:]}.")
    return redirect("fold", pk)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def submission_action(request: HttpRequest, pk: int, name: str) -> HttpResponse:
    """Ask whether something is to be done with all folds of a submission that it suits (GET), or do it."""
    action, user = _action(name), user_of(request)
    get_object_or_404(Submission.objects.changeable_by(user), pk=pk)
    suitable = SubmissionFold.objects.filter(databoard_s=pk, state__in=action.states).order_by("pk")
    if name == "priority":
        suitable = suitable.filter(priority=Priority.LOW, started_at=None)
    fold_ids = list(suitable.values_list("pk", flat=True)[:MAX_AT_ONCE])
    if request.method != "POST":
        context = {
            "action": action,
            "what": f"the {len(fold_ids)} folds of submission {pk} that this suits",
            "back": request.path.rsplit("/", 2)[0] + "/",
            "n_folds": len(fold_ids),
        }
        return render(request, "dashboard/confirm.html", context)
    n_done = 0
    for fold_id in fold_ids:
        try:
            action.do(fold_id, user)
            n_done += 1
        except DatarunError as error:
            messages.error(request, f"Fold {fold_id}: {error.message}.")
            if fold_ids and n_done == 0:
                break  # what keeps the first most often keeps all
    messages.success(request, f"{n_done} folds are {action.done}.")
    return redirect("submission", pk)
