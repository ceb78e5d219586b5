"""RabbitMQ, Redis and PostgreSQL that are killed, restarted and emptied, with folds in flight."""

from collections.abc import Callable

from runapp.tests.faults import harm
from runapp.tests.faults.conftest import CONSUMER_TIMEOUT_SECONDS
from runapp.tests.faults.flight import Flight, FlightPlan
from test_files.processes import Process
from test_files.stack import Stack


def _restart(service: Process) -> None:
    service.kill()
    service.start()
    service.wait_until_ready()


def test_rabbitmq_killed_and_restarted(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    _restart(harmed.services.rabbitmq)
    flight.lands()


def test_rabbitmq_restarted_with_its_queues_wiped(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    rabbitmq = harmed.services.rabbitmq
    rabbitmq.kill()
    harm.wipe_queues(harmed.services)
    rabbitmq.start()
    rabbitmq.wait_until_ready()
    flight.lands()


def test_redis_killed_and_restarted(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    _restart(harmed.services.redis)
    flight.lands()


def test_redis_flushed(fly: Callable[..., Flight], harmed: Stack) -> None:
    flight = fly()
    import redis

    services = harmed.services.environment
    client = redis.Redis(port=int(services["DR_REDIS_PORT"]), password=services["DR_BROKER_PASSWORD"])
    client.flushall()
    flight.lands()


def test_postgres_killed_and_restarted_in_the_middle_of_a_save(
    fly: Callable[..., Flight], harmed: Stack
) -> None:
    flight = fly()
    _restart(harmed.services.postgres)
    flight.lands()


def test_folds_longer_than_rabbitmq_waits_for_a_runner(fly: Callable[..., Flight]) -> None:
    plan = FlightPlan(n_folds=4, fit_seconds=2.0 * CONSUMER_TIMEOUT_SECONDS, n_landed=0)
    flight = fly(plan)
    flight.lands()
