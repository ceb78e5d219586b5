"""The numbers that Prometheus reads, counted when they are asked for: every web process gives the same."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from runapp import dispatch, selectors
from runapp.contract import Queue
from runapp.services.runners import runners as all_runners

#: Seconds; a fold may be trained in a few milliseconds or through a night.
_BOUNDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0)


def exposition() -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Numbers())
    return generate_latest(registry)


class _Numbers(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from _folds()
        yield from _queues()
        yield from _runners()
        yield from _durations()

    def describe(self) -> list[Metric]:
        return []  # without it registering would collect


def _folds() -> Iterator[Metric]:
    folds = GaugeMetricFamily("datarun_folds", "Folds by state and outcome.", labels=("state", "outcome"))
    for (state, outcome), n_folds in selectors.folds_by_outcome().items():
        folds.add_metric((state, outcome), n_folds)
    yield folds
    age = GaugeMetricFamily(
        "datarun_oldest_queued_fold_seconds", "How long the oldest queued fold waits.", labels=("priority",)
    )
    for priority, seconds in selectors.oldest_queued_seconds().items():
        age.add_metric((priority,), seconds)
    yield age


def _queues() -> Iterator[Metric]:
    waiting = GaugeMetricFamily("datarun_queue_tasks", "Tasks that wait in the broker.", labels=("queue",))
    for queue in Queue:
        depth = dispatch.queue_depth(queue)
        if depth is None:
            break  # neither would the broker answer for the others
        waiting.add_metric((queue.value,), depth.n_ready)
    yield waiting


def _runners() -> Iterator[Metric]:
    runners = [runner.mark for runner in all_runners() if runner.is_alive]
    yield GaugeMetricFamily("datarun_runners", "Runners that are up.", len(runners))
    taking = sum(not mark.refuses for mark in runners)
    yield GaugeMetricFamily("datarun_runners_taking", "Runners that take tasks.", taking)
    places = GaugeMetricFamily("datarun_places", "Folds that can run at a time.", labels=("runner",))
    busy = GaugeMetricFamily("datarun_places_busy", "Folds that run now.", labels=("runner",))
    for mark in runners:
        places.add_metric((mark.runner,), mark.places)
        busy.add_metric((mark.runner,), mark.busy)
    yield places
    yield busy


def _durations() -> Iterator[Metric]:
    names = {
        "train_time": "training",
        "validation_time": "validation",
        "test_time": "testing",
        "total": "posting a fold until its result was saved",
    }
    for name, (counts, n_folds, seconds) in selectors.durations(_BOUNDS).items():
        histogram = HistogramMetricFamily(
            f"datarun_{name.removesuffix('_time')}_seconds", f"Seconds of {names[name]} of the tested folds."
        )
        buckets = [(str(bound), count) for bound, count in zip(_BOUNDS, counts, strict=True)]
        histogram.add_metric((), [*buckets, ("+Inf", n_folds)], sum_value=seconds)
        yield histogram
