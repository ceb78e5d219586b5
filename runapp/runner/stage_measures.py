"""The measures of a fold, read from outside whenever it reports a stage."""

import dataclasses
import time

from runapp.contract import State
from runapp.runner.job import Measures, OnStage
from runapp.runner.result_stream import Stage
from runapp.runner.run_tree import RunTree

_ENDS_OF_MEASURED_STEPS = frozenset({Stage.TRAINED, Stage.TESTED})
_STATES = {Stage.TRAINED: State.TRAINED, Stage.VALIDATED: State.VALIDATED}


@dataclasses.dataclass(frozen=True)
class _Reading:
    epoch_seconds: float
    arrived_seconds: float
    resumed_seconds: float
    cpu_seconds: float
    #: Peak since the reading before.
    peak_kb: float


class StageMeasures:
    """Reads the measures at each stage, while the fold waits to go on.

    Call ``reached``, let the fold go on, call ``resumed``, which hands TRAINED and VALIDATED on to
    ``on_stage``: a slow disk there delays no fold.
    """

    def __init__(self, tree: RunTree, on_stage: OnStage) -> None:
        self._tree = tree
        self._on_stage = on_stage
        self._readings: dict[Stage, _Reading] = {}

    def reached(self, stage: Stage) -> None:
        now = time.monotonic()
        self._readings[stage] = _Reading(
            epoch_seconds=time.time(),
            arrived_seconds=now,
            resumed_seconds=now,
            cpu_seconds=self._tree.cpu_seconds(),
            peak_kb=self._peak_kb_at(stage),
        )

    def _peak_kb_at(self, stage: Stage) -> float:
        """The peak of the step that ends; at the beginning of one it only starts anew."""
        if stage in _ENDS_OF_MEASURED_STEPS:
            return self._tree.take_peak_kb()
        self._tree.forget_peak()
        return 0.0

    def resumed(self, stage: Stage) -> None:
        reading = self._readings[stage]
        self._readings[stage] = dataclasses.replace(reading, resumed_seconds=time.monotonic())
        if stage in _STATES:
            self._on_stage(_STATES[stage], reading.epoch_seconds)

    def reached_at(self, stage: Stage) -> float | None:
        """Seconds since the epoch, None where the fold did not get there."""
        reading = self._readings.get(stage)
        return None if reading is None else reading.epoch_seconds

    def measures(self) -> Measures:
        """Of the steps that were completed; 0 for the others."""
        return Measures(
            train_time=self._seconds(Stage.LOADED, Stage.TRAINED),
            validation_time=self._seconds(Stage.TRAINED, Stage.VALIDATED),
            test_time=self._seconds(Stage.VALIDATED, Stage.TESTED),
            train_cpu_time=self._cpu_seconds(Stage.LOADED, Stage.TRAINED),
            test_cpu_time=self._cpu_seconds(Stage.VALIDATED, Stage.TESTED),
            train_memory=self._peak_kb(Stage.TRAINED),
            test_memory=self._peak_kb(Stage.TESTED),
        )

    def _seconds(self, start: Stage, end: Stage) -> float:
        if end not in self._readings:
            return 0.0
        return self._readings[end].arrived_seconds - self._readings[start].resumed_seconds

    def _cpu_seconds(self, start: Stage, end: Stage) -> float:
        if end not in self._readings:
            return 0.0
        # A process that nobody waited for takes its CPU time with it.
        return max(0.0, self._readings[end].cpu_seconds - self._readings[start].cpu_seconds)

    def _peak_kb(self, stage: Stage) -> float:
        return self._readings[stage].peak_kb if stage in self._readings else 0.0
