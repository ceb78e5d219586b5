"""The messages of master and runners: what goes in comes out, and nothing else is taken."""

import dataclasses
import json
import types
import typing
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, strategies as st

from runapp.contract import Outcome, State
from runapp.errors import InvalidMessage
from runapp.messages import FoldMark, FoldOutcome, FoldTask, RunnerMark, SplitOutcome, SplitTask

MESSAGES = [FoldTask, SplitTask, FoldOutcome, SplitOutcome, FoldMark, RunnerMark]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=10,
)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(annotation) is types.UnionType:
        return st.one_of(*map(values_of, typing.get_args(annotation)))
    if typing.get_origin(annotation) is tuple:
        return st.lists(values_of(typing.get_args(annotation)[0]), max_size=4).map(tuple)
    if typing.get_origin(annotation) is dict:
        return st.dictionaries(*map(values_of, typing.get_args(annotation)), max_size=4)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return st.sampled_from(annotation)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        int: st.integers(), str: st.text(), bool: st.booleans(), types.NoneType: st.none(),
        float: st.floats(-1e299, 1e299),
    }  # fmt: skip
    return simple[annotation]


def messages(kind: type) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    fields = {field.name: values_of(hints[field.name]) for field in dataclasses.fields(kind)}
    return st.builds(kind, **fields)


@given(st.one_of(*map(messages, MESSAGES)))
def test_a_message_comes_back_from_json(message: Any) -> None:
    read = type(message).from_message(json.loads(json.dumps(message.to_message())))

    assert read == message
    for field in dataclasses.fields(message):
        assert type(getattr(read, field.name)) is type(getattr(message, field.name))


@given(st.sampled_from(MESSAGES), json_values)
def test_any_json_is_refused_as_an_invalid_message(kind: Any, value: object) -> None:
    with pytest.raises(InvalidMessage):
        kind.from_message(value)


@given(st.data(), st.sampled_from(MESSAGES), json_values)
def test_a_message_with_any_field_replaced_is_read_or_refused(
    data: st.DataObject, kind: Any, value: object
) -> None:
    message = data.draw(messages(kind)).to_message()
    name = data.draw(st.sampled_from(sorted(message)))

    try:
        read = kind.from_message(json.loads(json.dumps(message | {name: value})))
    except InvalidMessage:
        return
    assert json.loads(json.dumps(read.to_message()))[name] == json.loads(json.dumps(value))


@given(st.data(), st.sampled_from(MESSAGES))
def test_fields_missing_or_unknown_are_named(data: st.DataObject, kind: Any) -> None:
    message = data.draw(messages(kind)).to_message()
    name = data.draw(st.sampled_from(sorted(message.keys() - {"version", "kind"})))
    value = message.pop(name)

    with pytest.raises(InvalidMessage, match=f"missing or unknown fields: {name}"):
        kind.from_message(message)
    with pytest.raises(InvalidMessage, match="missing or unknown fields: surplus"):
        kind.from_message(message | {name: value, "surplus": 1})


def test_a_message_of_another_release_says_so() -> None:
    with pytest.raises(InvalidMessage, match="do master and runner run the same release"):
        FoldTask.from_message({"version": 0, "kind": "fold_task"})


@pytest.mark.parametrize("outcome", Outcome)
def test_only_a_good_outcome_makes_a_fold_tested(outcome: Outcome) -> None:
    message = FoldOutcome(
        fold_id=1, task_id="", attempt=1, outcome=outcome, log_messages="", runner="", isolation="",
        started_at=0.0,
    )  # fmt: skip

    assert message.state is (State.TESTED if outcome is Outcome.OK else State.ERROR)
