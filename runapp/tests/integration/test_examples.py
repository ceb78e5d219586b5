"""The example data sets through the real stack, against training them in this process."""

import pytest

from test_files.client import Datarun
from test_files.examples import CUSTOM_EXAMPLES, STANDARD_EXAMPLES, Example
from test_files.test_workflow import compare, send


@pytest.mark.parametrize("example", [*STANDARD_EXAMPLES, *CUSTOM_EXAMPLES], ids=lambda example: example.name)
def test_the_service_predicts_bit_for_bit_what_training_in_process_predicts(
    datarun: Datarun, example: Example
) -> None:
    compare(datarun, send(datarun, example, n_folds=2))
