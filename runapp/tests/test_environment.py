"""The settings of the environment: defaults that work, and refusals by name."""

import string
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from runapp.environment import PLACEHOLDERS, Environment
from runapp.errors import ConfigurationError

MASTER = {
    "DR_WORKING_ENV": "PROD", "DR_SECRET_KEY": "k3y", "DR_DATABASE_NAME": "datarun",
    "DR_DATABASE_USER": "dora", "DR_DATABASE_PASSWORD": "db-pass", "DIR_DATA": "/srv/data",
    "DIR_SUBMISSION": "/srv/submission",
    "RMQ_VHOST": "vhost", "IP_MASTER": "192.0.2.1", "DR_BROKER_USER": "bob",
    "DR_BROKER_PASSWORD": "broker-pass",
}  # fmt: skip
NAMES = [
    *MASTER, "DR_HOME", "CELERY_SCHEDULER_PERIOD", "DR_EMBEDDED_BROKER", "DR_BROKER_PORT", "DR_REDIS_PORT",
]  # fmt: skip
values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)


def read_master(variables: dict[str, str]) -> Environment:
    environment = Environment.read(variables)
    environment.require_master()
    return environment


def test_with_nothing_set_datarun_is_embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = read_master({})

    assert environment.production is False
    assert environment.dir_data == environment.home / "data"
    assert environment.dir_submission == environment.home / "submission"
    assert environment.exchange_folder.parent == environment.dir_submission
    assert environment.master_host == "localhost"
    assert environment.scheduler_period == "*/2"
    assert environment.broker.kind in ("redis", "files")


@pytest.mark.parametrize(
    ("kind", "start"), [("redis", "redis+socket:///h/redis/"), ("files", "filesystem://")]
)
def test_the_embedded_broker_may_be_chosen(kind: str, start: str) -> None:
    broker = Environment.read({"DR_EMBEDDED_BROKER": kind, "DR_HOME": "/h"}).broker

    assert broker.kind == kind
    assert broker.url.startswith(start)
    assert "/h/" in broker.result_url


def test_without_a_redis_server_the_broker_is_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)

    assert Environment.read({}).broker.kind == "files"


def test_everything_set_makes_a_master_in_production() -> None:
    environment = read_master(MASTER)

    assert environment.production is True
    assert environment.broker.url == "amqp://bob:broker-pass@192.0.2.1:5672/vhost"
    assert environment.broker.result_url.endswith("redis://:broker-pass@192.0.2.1:6379/0")


@pytest.mark.parametrize("name", [name for name in MASTER if name != "DR_WORKING_ENV"])
@pytest.mark.parametrize("value", [None, "", "  "])
def test_in_production_a_missing_value_stops_the_start_by_name(name: str, value: str | None) -> None:
    variables = (
        MASTER | {name: value} if value is not None else {k: v for k, v in MASTER.items() if k != name}
    )

    with pytest.raises(ConfigurationError, match=f"^{name} is not set, and DR_WORKING_ENV=PROD needs it$"):
        read_master(variables)


@pytest.mark.parametrize("name", [name for name in MASTER if name != "DR_WORKING_ENV"])
@pytest.mark.parametrize("placeholder", sorted(PLACEHOLDERS))
def test_in_production_a_placeholder_stops_the_start_by_name(name: str, placeholder: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} still holds the placeholder"):
        read_master(MASTER | {name: placeholder})


def test_a_runner_in_production_needs_no_secret_of_the_master() -> None:
    names = (
        "DR_WORKING_ENV",
        "DIR_DATA",
        "DIR_SUBMISSION",
        "RMQ_VHOST",
        "IP_MASTER",
        "DR_BROKER_USER",
        "DR_BROKER_PASSWORD",
    )
    runner = {name: MASTER[name] for name in names}

    assert Environment.read(runner).broker.kind == "amqp"
    with pytest.raises(ConfigurationError, match="DR_SECRET_KEY is not set"):
        read_master(runner)


def test_the_seeds_pair_for_the_broker_works_with_a_warning() -> None:
    variables = {k: v for k, v in MASTER.items() if not k.startswith("DR_BROKER")}

    with pytest.warns(UserWarning, match="every runner has to hold it"):
        assert read_master(variables).broker.url == "amqp://dora:db-pass@192.0.2.1:5672/vhost"


def test_outside_of_production_the_seeds_pair_needs_no_warning() -> None:
    variables = {"RMQ_VHOST": "v", "DR_DATABASE_USER": "u", "DR_DATABASE_PASSWORD": "p"}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Environment.read(variables).broker.url == "amqp://u:p@localhost:5672/v"


def test_a_vhost_without_an_account_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="DR_BROKER_USER and DR_BROKER_PASSWORD must be set"):
        _ = Environment.read({"RMQ_VHOST": "v"}).broker


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DR_WORKING_ENV", "prod"), ("DR_WORKING_ENV", "TEST"), ("DR_EMBEDDED_BROKER", "rabbit"),
        ("CELERY_SCHEDULER_PERIOD", "often"), ("CELERY_SCHEDULER_PERIOD", "*/0"),
        ("CELERY_SCHEDULER_PERIOD", "99"), ("CELERY_SCHEDULER_PERIOD", "//"),
        ("CELERY_SCHEDULER_PERIOD", "5-1-2"), ("CELERY_SCHEDULER_PERIOD", "1,,2"),
        ("CELERY_SCHEDULER_PERIOD", "-"),
    ],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Environment.read({name: value})


@pytest.mark.parametrize(
    ("text", "period"),
    [("*/2", "*/2"), ("* / 2", "*/2"), ("*", "*"), ("0,30", "0,30"), ("5-20/5,59", "5-20/5,59")],
)
def test_a_period_is_the_minutes_of_a_crontab(text: str, period: str) -> None:
    assert Environment.read({"CELERY_SCHEDULER_PERIOD": text}).scheduler_period == period


@given(st.text("0123456789*/,-", max_size=8))
def test_a_period_that_is_accepted_is_one_to_celery(text: str) -> None:
    from celery.schedules import crontab

    try:
        period = Environment.read({"CELERY_SCHEDULER_PERIOD": text}).scheduler_period
    except ConfigurationError:
        return
    assert crontab(minute=period).is_due(datetime.now(tz=UTC)).next > 0


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "1_0", "²", "9" * 5000])
def test_a_number_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigurationError, match="DR_BROKER_PORT"):
        Environment.read({"DR_BROKER_PORT": text}).integer("DR_BROKER_PORT", 5672)


@given(st.dictionaries(st.sampled_from(NAMES), values))
def test_any_environment_is_read_or_refused_by_name(variables: dict[str, str]) -> None:
    try:
        environment = read_master(variables)
        broker = environment.broker
    except ConfigurationError as error:
        assert any(name in error.message for name in NAMES)
    except (RuntimeWarning, UserWarning):
        raise
    else:
        assert environment.dir_data.is_absolute()
        assert broker.url


passwords = st.text(string.ascii_letters + string.digits + "@:/%#?& ü", min_size=8).filter(
    lambda text: len(text.strip()) >= 8
)


@given(passwords, passwords)
def test_credentials_are_never_in_a_repr(user: str, password: str) -> None:
    variables = MASTER | {"DR_BROKER_USER": f"user{user}", "DR_BROKER_PASSWORD": f"pw{password}"}
    environment = read_master(variables)

    for shown in (repr(environment), str(environment), repr(environment.broker), str(environment.broker)):
        assert f"pw{password}".strip() not in shown
        assert "db-pass" not in shown
        assert "k3y" not in shown


@given(passwords)
def test_credentials_of_any_characters_make_an_address_that_comes_apart_again(password: str) -> None:
    from kombu import Connection

    variables = MASTER | {"DR_BROKER_PASSWORD": password, "RMQ_VHOST": "a/b c"}
    connection = Connection(Environment.read(variables).broker.url)

    assert connection.password == password.strip()
    assert (connection.userid, connection.hostname, connection.virtual_host) == ("bob", "192.0.2.1", "a/b c")


def test_folders_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert Environment.read({"DIR_DATA": "data"}).dir_data == tmp_path / "data"


def test_a_lost_fold_is_noticed_within_a_minute_unless_set_otherwise() -> None:
    environment = Environment.read({})

    # A look that came just before the lease ended finds nothing: the next one does.
    assert environment.lease_seconds + environment.recover_seconds <= 60
