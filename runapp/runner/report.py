"""What a launcher reports of a run that it watched to its end."""

from collections.abc import Iterable
from pathlib import Path

from runapp.contract import Outcome
from runapp.runner.job import FoldJob, FoldReport, SplitReport
from runapp.runner.participant_log import compose_log
from runapp.runner.result_stream import Failed, FoldDone, SplitDone, Stage
from runapp.runner.stage_measures import StageMeasures
from runapp.runner.supervision import Ending


def fold_report(
    job: FoldJob, ending: Ending, printed: str, measures: StageMeasures, folders: Iterable[Path]
) -> FoldReport:
    """The report of a fold; paths in its log are shown relative to ``folders``."""
    outcome, reason = _outcome_and_reason(ending)
    started = measures.reached_at(Stage.LOADED) is not None
    if outcome is Outcome.CRASH and not started and not job.custom:
        # No code of a stranger has run yet.
        outcome, reason = Outcome.LOST, f"The runner could not start the fold. {reason}"
    done = ending if isinstance(ending, FoldDone) else None
    return FoldReport(
        outcome=outcome,
        log_messages=compose_log(reason, printed, folders),
        measures=measures.measures(),
        trained_at=measures.reached_at(Stage.TRAINED),
        validated_at=measures.reached_at(Stage.VALIDATED),
        tested_at=measures.reached_at(Stage.TESTED),
        full_train_predictions=None if done is None else done.full_train_predictions,
        test_predictions=None if done is None else done.test_predictions,
    )


def split_report(ending: Ending, printed: str, folders: Iterable[Path]) -> SplitReport:
    """The report of a split; paths in its log are shown relative to ``folders``."""
    outcome, reason = _outcome_and_reason(ending)
    done = ending if isinstance(ending, SplitDone) else None
    return SplitReport(
        outcome=outcome,
        log_messages=compose_log(reason, printed, folders),
        n_train_rows=None if done is None else done.n_train_rows,
        n_test_rows=None if done is None else done.n_test_rows,
    )


def _outcome_and_reason(ending: Ending) -> tuple[Outcome, str]:
    return (ending.outcome, ending.log) if isinstance(ending, Failed) else (Outcome.OK, "")
