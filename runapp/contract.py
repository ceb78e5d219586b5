"""The words that master and runners share. No Django, no database."""

from enum import StrEnum

#: Most numbers that each of a fold's two predictions may hold; an outcome file has room for both.
MAX_PREDICTIONS = 50_000_000

#: How often in all a fold is started when it was lost through datarun's own fault.
MAX_ATTEMPTS = 3

#: Limits of its folds that the organizer of a data set may set lower than the runner's, by the names of
#: their fields, and the least that each may be. Of processes a runner's own limit is 2 at least, too.
DATA_SET_LIMITS = {
    "max_fold_seconds": 1,
    "max_memory_mb": 1,
    "max_output_mb": 1,
    "max_scratch_mb": 1,
    "max_processes": 2,
}

#: The words the older releases put into the log of a fold stopped at its soft time limit.
SOFT_TIME_LIMIT_WORDS = "Soft Time Limit Exceeded"

#: The words in a fold's log between why it ended and what it printed.
PRINTED_WORDS = "The end of what it printed:"

#: Elements a standard workflow can consist of, in the order in which they are applied.
WORKFLOW_ELEMENTS = ("feature_extractor", "classifier", "calibrator", "regressor")

#: Functions that the ``specific.py`` of a custom data set must define, with their numbers of arguments.
SPECIFIC_FUNCTIONS = {
    "prepare_data": 1,
    "get_train_data": 1,
    "get_test_data": 1,
    "train_submission": 4,
    "test_submission": 3,
}
SPECIFIC_FILE = "specific.py"
TRAIN_FILE = "train.csv"
TEST_FILE = "test.csv"


class State(StrEnum):
    """Where a fold is: ``TODO -> TRAINED -> VALIDATED -> TESTED``, or ``ERROR`` from any of them."""

    TODO = "TODO"
    TRAINED = "TRAINED"
    VALIDATED = "VALIDATED"
    TESTED = "TESTED"
    ERROR = "ERROR"


FINAL_STATES = frozenset({State.TESTED, State.ERROR})


class Outcome(StrEnum):
    """Why a finished fold ended as it did. The set is closed."""

    OK = "ok"
    USER_ERROR = "user_error"
    BAD_OUTPUT = "bad_output"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    OUTPUT_LIMIT = "output_limit"
    CRASH = "crash"
    CANCELLED = "cancelled"
    DATA_ERROR = "data_error"
    LOST = "lost"


class SplitState(StrEnum):
    """Where the split of a data set into train and test is."""

    NONE = "NONE"
    TODO = "TODO"
    DONE = "DONE"
    ERROR = "ERROR"


class Priority(StrEnum):
    """Priority of a fold; also the name of its queue."""

    LOW = "L"
    HIGH = "H"


class Queue(StrEnum):
    """Queues of the broker."""

    LOW = "L"
    HIGH = "H"
    SPLIT = "celery"
    MASTER = "master_periodic"


#: The queues whose tasks need no database: what a runner takes.
RUNNER_QUEUES = (Queue.LOW, Queue.HIGH, Queue.SPLIT)


class TaskName(StrEnum):
    """Names of the Celery tasks, by which the master sends them without importing their code."""

    FOLD = "runapp.tasks.train_test_submission_fold"
    SPLIT = "runapp.tasks.split_train_test"
    SAVE = "runapp.tasks.save_submission_fold_db"
    SWEEP = "runapp.tasks.sweep"
    RECOVER = "runapp.tasks.recover"
    SCORE = "runapp.tasks.score"
    CLEAN = "runapp.tasks.clean"
