"""``/healthz``, ``/readyz`` and ``/metrics``: who may ask, and what they say."""

import shutil
from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from runapp import dispatch
from runapp.contract import State
from runapp.tests import factories

pytestmark = pytest.mark.django_db

PROXY, STRANGER = "127.0.0.1", "203.0.113.7"


@pytest.fixture(autouse=True)
def fresh_metrics() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "queue_depth", lambda queue: dispatch.QueueDepth(len(queue), 1))


def metrics(client: Client) -> dict[tuple[str, str], float]:
    """The value of each sample, by its name and the values of its labels."""
    text = client.get("/metrics").content.decode()
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("path", ["/readyz", "/metrics"])
@pytest.mark.parametrize(
    ("address", "forwarded", "status"),
    [
        (PROXY, None, 200),
        ("", None, 200),  # a web server on a unix socket
        ("::1", None, 200),
        (STRANGER, None, 403),
        (PROXY, STRANGER, 403),
        (PROXY, f"127.0.0.1, {STRANGER}", 403),  # a stranger who says to come from here
        (STRANGER, "127.0.0.1", 403),  # and one who came past the proxy
        (PROXY, f"{STRANGER}, 127.0.0.1", 200),
        (PROXY, "nonsense", 403),
    ],
)
def test_only_the_networks_of_monitoring_may_ask(
    client: Client, path: str, address: str, forwarded: str | None, status: int
) -> None:
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    assert client.get(path, REMOTE_ADDR=address, **headers).status_code == status  # type: ignore[arg-type]


def test_everybody_may_ask_whether_the_process_is_alive(client: Client) -> None:
    answer = client.get("/healthz", REMOTE_ADDR=STRANGER)
    assert (answer.status_code, answer.content) == (200, b"ok\n")


def test_a_master_that_can_serve_is_ready(client: Client) -> None:
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "broker": "ok", "disk": "ok"})


def test_a_master_without_its_disk_or_broker_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "queue_depth", lambda _: None)
    shutil.rmtree(dispatch.exchange().folder)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["database"] == "ok"
    assert "ok" not in (answer.json()["broker"], answer.json()["disk"])


def test_metrics_count_folds_queues_and_runners(client: Client) -> None:
    submission = factories.make_submission()
    factories.make_fold(submission, state=State.TESTED, train_time=0.2)
    factories.make_fold(submission, state=State.TESTED, train_time=20.0)
    factories.make_fold(submission, state=State.ERROR)
    dispatch.exchange().write_runner(factories.runner_mark(runner="r@h", places=4, busy=3))

    found = metrics(client)

    assert found["datarun_folds", "ok TESTED"] == 2
    assert found["datarun_folds", "user_error ERROR"] == 1
    assert found["datarun_queue_tasks", "celery"] == len("celery")
    assert found["datarun_runners", ""] == 1
    assert (found["datarun_places", "r@h"], found["datarun_places_busy", "r@h"]) == (4, 3)
    assert found["datarun_oldest_queued_fold_seconds", "L"] == 0
    buckets = [
        found["datarun_train_seconds_bucket", bound] for bound in ("0.1", "0.3", "10.0", "30.0", "+Inf")
    ]
    assert buckets == [0, 1, 1, 2, 2]
    assert found["datarun_train_seconds_sum", ""] == pytest.approx(20.2)


def test_metrics_do_without_a_broker_a_disk_and_folds(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "queue_depth", lambda _: None)
    shutil.rmtree(dispatch.exchange().folder)
    found = metrics(client)
    assert found["datarun_runners", ""] == 0
    assert found["datarun_train_seconds_count", ""] == 0
