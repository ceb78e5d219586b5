"""Whatever is sent gets an answer that the schema knows, and never a 5xx."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core import signals
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, settings
from rest_framework.authtoken.models import Token
from schemathesis import Case
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_schema_conformance,
    status_code_conformance,
)

from datarun.wsgi import application
from runapp.contract import State
from runapp.tests import factories
from runapp.tests.api.conftest import Caller

schema = schemathesis.openapi.from_dict(SchemaGenerator().get_schema(request=None, public=True))
schema.app = application
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture
def open_connection() -> Iterator[None]:
    """Keep the end of a request from closing the connection that holds the test's transaction."""
    ends = (signals.request_started, signals.request_finished)
    for end in ends:
        end.disconnect(close_old_connections)
    yield
    for end in ends:
        end.connect(close_old_connections)


@pytest.fixture
def token(api: Caller, open_connection: None) -> str:
    """Token of a user who finds a data set, and folds in every state."""
    submission = factories.make_submission(factories.make_raw_data(), databoard_s_id=1)
    for number, state in enumerate(State):
        factories.make_fold(submission, databoard_sf_id=number, state=state)
    return str(Token.objects.create(user=api.user).key)


@schema.parametrize()
@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_one_the_schema_knows(case: Case[Any], token: str) -> None:
    answer = case.call_and_validate(headers={"Authorization": f"Token {token}"}, checks=CHECKS)

    assert answer.status_code != 401
