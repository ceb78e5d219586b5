"""What a fold hands back is checked; whatever is no result is a failure with a reason."""

import pytest

from runapp.contract import Outcome
from runapp.tests.attacks.sandbox import N_TEST, N_TRAIN, Sandbox

#: Finds the socket of the result and writes to it behind the engine's back.
WRITE_RESULT = """
    result = next(n for n in range(3, 64) if os.path.islink(f"/proc/self/fd/{{n}}")
                  and os.readlink(f"/proc/self/fd/{{n}}").startswith("socket"))
    def send(content):
        while content:
            content = content[os.write(result, content):]
    def frame(header):
        import json
        text = json.dumps(header).encode()
        return len(text).to_bytes(4, "big") + text
    {body}
    time.sleep(20)
"""


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        ("np.full((len(X), 2), np.nan)", "NaN"),
        ("np.full((len(X), 2), np.inf)", "infinite"),
        ("np.zeros((len(X) + 1, 2))", "rows"),
        ("np.array([object()] * len(X))", "objects"),
        ("['a'] * len(X)", "numbers"),
        ("None", "None"),
        ("np.broadcast_to(np.zeros(1), (len(X), 10**9))", "numbers"),
    ],
)
def test_predictions_that_cannot_be_used_are_bad_output(sandbox: Sandbox, returned: str, words: str) -> None:
    report = sandbox.run(
        f"import numpy as np\nclass Classifier:\n    def fit(self, X, y): pass\n    def predict_proba(self, X): return {returned}\n"
    )
    assert report.outcome is Outcome.BAD_OUTPUT
    assert words in report.log_messages
    assert report.test_predictions is None


@pytest.mark.parametrize(
    "body",
    [
        "send(b'\\0' * (1 << 20))",
        "send(b'\\xff' * (1 << 20))",
        "send(frame(['list']))",
        "import pickle; send(len(pickle.dumps(1)).to_bytes(4, 'big') + pickle.dumps(1))",
        "send(frame({'outcome': 'ok', 'shapes': [["
        + f"{N_TRAIN}, 2], [{N_TEST}, 2]]"
        + "}) + bytes(100_000))",
        "send(frame({'stage': 'tested'}))",
        "send(frame({'outcome': 'lost', 'log': 'not mine to say'}))",
        "send(frame({'stage': 'trained'})); os.read(result, 1); send(frame({'stage': 'validated'})); os.read(result, 1); "
        f"send(frame({{'stage': 'tested'}})); os.read(result, 1); "
        f"send(frame({{'outcome': 'ok', 'shapes': [[{N_TRAIN}, 2], [{N_TEST}, 2]]}}) + np.full({2 * (N_TRAIN + N_TEST)}, np.nan).tobytes())",
    ],
    ids=[
        "zeros",
        "a giant header",
        "a list",
        "a pickle",
        "too early",
        "a stage too far",
        "another's outcome",
        "NaN",
    ],
)
def test_forged_results_are_refused(sandbox: Sandbox, body: str) -> None:
    report = sandbox.attack(WRITE_RESULT.format(body=body))
    assert report.outcome is Outcome.CRASH
    assert "something else than a result" in report.log_messages
    assert report.test_predictions is None


def test_an_endless_result_is_no_more_than_was_announced(sandbox: Sandbox) -> None:
    # Its author may choose the predictions, forged or not; what goes on after them is never read.
    report = sandbox.attack(
        WRITE_RESULT.format(
            body="for stage in ('trained', 'validated', 'tested'):\n"
            "        send(frame({'stage': stage})); os.read(result, 1)\n"
            f"    send(frame({{'outcome': 'ok', 'shapes': [[{N_TRAIN}, 2], [{N_TEST}, 2]]}}))\n"
            "    while True: send(bytes(1 << 20))"
        )
    )
    assert report.outcome is Outcome.OK
    assert report.test_predictions is not None
    assert report.test_predictions.shape == (N_TEST, 2)


def test_a_half_result_and_silence_ends_at_the_deadline(sandbox: Sandbox) -> None:
    report = sandbox.attack(WRITE_RESULT.format(body="send(b'\\0\\0')"), wall_seconds=1)
    assert report.outcome is Outcome.TIMEOUT


def test_an_exception_that_cannot_be_printed_is_still_a_user_error(sandbox: Sandbox) -> None:
    report = sandbox.attack("""
        class Hostile(Exception):
            def __str__(self):
                raise SystemExit(0)
            __repr__ = __str__
        raise Hostile
    """)
    assert report.outcome is Outcome.USER_ERROR


def test_a_traceback_names_the_participants_line_and_nothing_of_the_machine(sandbox: Sandbox) -> None:
    report = sandbox.attack("raise ValueError('mine')")
    assert report.outcome is Outcome.USER_ERROR
    assert 'File "classifier.py", line ' in report.log_messages
    assert "ValueError: mine" in report.log_messages
    assert "runapp" not in report.log_messages
    assert "/tmp" not in report.log_messages


def test_a_syntax_error_is_the_participants(sandbox: Sandbox) -> None:
    report = sandbox.run("class Classifier:\n    def fit(self X, y): pass\n")
    assert report.outcome is Outcome.USER_ERROR
    assert "SyntaxError" in report.log_messages
