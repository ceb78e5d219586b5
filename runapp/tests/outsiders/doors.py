"""What each route of datarun answers, and to whom: a new route needs a line here.

There is one data set, olga's, and on it one submission with one fold, anne's. Who asks:

=============== ==========================================================
anonymous       nobody that is logged in; must be refused wherever not named
anne            the submitter whose submission and fold they are
bob             another submitter
otto            an organizer of other data sets
observer        an observer
nobody          an account without a role
olga            the organizer of the data set
root            staff
=============== ==========================================================
"""

import dataclasses
from typing import Any

from runapp.tests import factories

DATA_ID, FOLD_ID = 550055, 770077
#: What stands for the words in paths.
NAMES = {"name": "cancel", "part": "test", "kind": "npy"}

Answers = dict[str, int]

ACCOUNTS = ("anne", "bob", "otto", "observer", "nobody", "olga", "root")
#: Who sees anne's submission and fold, who may change them, and who is told what only an organizer may know.
SEERS = frozenset({"anne", "observer", "olga", "root"})
CHANGERS = frozenset({"anne", "olga", "root"})
ORGANIZERS = frozenset({"olga", "root"})

#: Everybody with an account; everybody at all.
MEMBERS: Answers = dict.fromkeys(ACCOUNTS, 200)
ANYBODY: Answers = MEMBERS | {"anonymous": 200}
#: Anne's own: to others it is not there.
SEEN: Answers = dict.fromkeys(ACCOUNTS, 404) | dict.fromkeys(SEERS, 200)
CHANGED: Answers = SEEN | {"observer": 403}
#: A page that asks whether to change it, and what follows once that is answered.
CONFIRMED: Answers = dict.fromkeys(ACCOUNTS, 404) | dict.fromkeys(CHANGERS, 200)
LED_BACK: Answers = CONFIRMED | dict.fromkeys(CHANGERS, 302)
#: The data set: everybody knows that it is there.
ORGANIZED: Answers = dict.fromkeys(ACCOUNTS, 403) | dict.fromkeys(ORGANIZERS, 200)
STAFF: Answers = dict.fromkeys(ACCOUNTS, 403) | {"root": 204}
MAY_UPLOAD: Answers = dict.fromkeys(ACCOUNTS, 403) | dict.fromkeys(("otto", "olga", "root"), 201)
MAY_SUBMIT: Answers = dict.fromkeys(ACCOUNTS, 201) | {"observer": 403, "nobody": 403}
TAKEN: Answers = dict.fromkeys(ACCOUNTS, 400) | {"observer": 403, "nobody": 403}


@dataclasses.dataclass(frozen=True)
class Door:
    """A method of a route: what is sent, the status that each account gets, and whose asking changes
    olga's data set or anne's submission or fold."""

    method: str
    answers: Answers
    body: Any = None
    changed_by: frozenset[str] = frozenset()


def look(answers: Answers) -> tuple[Door, ...]:
    """A route that only shows something."""
    return (Door("get", answers),)


def _fold(**changes: Any) -> dict[str, Any]:
    """A post of a fold of a new submission on olga's data set."""
    rows = factories.encoded_indices([0, 1])
    files = factories.encoded_files({"classifier.py": factories.CLASSIFIER})
    new = {"databoard_sf_id": 1, "databoard_s_id": 1, "raw_data": DATA_ID, "train_is": rows, "test_is": rows}
    return new | {"files": files} | changes


_TAKEN = {"databoard_sf_id": FOLD_ID, "databoard_s_id": FOLD_ID}
_OTHER_FILES = factories.encoded_files({"classifier.py": b"class Classifier:\n    other = True\n"})
_DATA = {"name": "new", "target_column": "species", "workflow_elements": "classifier"}
_CSV = _DATA | {"files": factories.encoded_files({"a.csv": factories.CSV})}
_CODE = _DATA | {"files": factories.encoded_files({"a.csv": b"1", "specific.py": factories.SPECIFIC})}
_SPLIT = {"raw_data_id": DATA_ID, "held_out_test": 0.5}
_FORCED: Answers = TAKEN | dict.fromkeys(CHANGERS, 201)

_RAW_DATA = {
    "": (*look(MEMBERS), Door("post", MAY_UPLOAD, _CSV), Door("post", MAY_UPLOAD, _CODE)),
    "split/": (Door("post", ORGANIZED, _SPLIT, ORGANIZERS),),
    # It is not a custom one.
    "customsplit/": (Door("post", ORGANIZED | dict.fromkeys(ORGANIZERS, 400), {"raw_data_id": DATA_ID}),),
    "<int:pk>/": (Door("patch", ORGANIZED, {"scorer": "f1_macro"}, ORGANIZERS),),
    "<int:pk>/ranking/": look(MEMBERS),
    "<int:pk>/scores/": look(MEMBERS),
}

DOORS: dict[str, tuple[Door, ...]] = {
    "": look(MEMBERS),
    "runners/": look(MEMBERS),
    "submissions/": look(MEMBERS),
    "submissions/<int:pk>/": look(SEEN),
    "submissions/<int:pk>/<str:name>/": (
        *look(CONFIRMED),
        Door("post", LED_BACK),  # of finished folds there is none to cancel
    ),
    "folds/<int:pk>/": look(SEEN),
    "folds/<int:pk>/<str:name>/": (*look(CONFIRMED), Door("post", LED_BACK)),
    "folds/<int:pk>/<str:part>-predictions.<str:kind>": look(SEEN),
    "account/": (
        *look(MEMBERS),
        Door("post", MEMBERS, {"what": "make"}),
        Door("post", dict.fromkeys(ACCOUNTS, 302), {"what": "revoke"}),
    ),
    "data-sets/": look(MEMBERS),
    "data-sets/<int:pk>/": look(MEMBERS),
    "data-sets/<int:pk>/settings/": (
        *look(dict.fromkeys(ACCOUNTS, 404) | dict.fromkeys(ORGANIZERS, 200)),
        Door(
            "post",
            dict.fromkeys(ACCOUNTS, 404) | dict.fromkeys(ORGANIZERS, 302),
            {"scorer": "f1_macro", "ranking": "test"},
            ORGANIZERS,
        ),
    ),
    "data-sets/<int:pk>/ranking/": look(MEMBERS),
    "docs/": look(MEMBERS),
    "favicon.ico": look(dict.fromkeys(ANYBODY, 302)),
    "schema/": look(MEMBERS),
    "healthz": look(ANYBODY),
    "readyz": look(ANYBODY),  # from this machine
    "metrics": look(ANYBODY),
    "api-auth/login/": (
        *look(ANYBODY),
        Door("post", ANYBODY, {"username": "anne", "password": "wrong"}),
        Door("put", ANYBODY),  # to Django the same
    ),
    "api-auth/logout/": (Door("post", dict.fromkeys((*ACCOUNTS, "anonymous"), 302)),),
    "api-auth/staff/": look(STAFF),
    "api-token-auth/": (
        Door("post", dict.fromkeys((*ACCOUNTS, "anonymous"), 400), {"username": "anne", "password": "no"}),
    ),
    "runapp/": look(MEMBERS),
    "runapp/runners/": look(MEMBERS),
    **{f"runapp/rawdata/{tail}": doors for tail, doors in _RAW_DATA.items()},
    **{f"runapp/raw_data/{tail}": doors for tail, doors in _RAW_DATA.items()},
    "runapp/submissionfold/": (
        *look(MEMBERS),
        Door("post", MAY_SUBMIT, _fold()),
        Door("post", TAKEN, _fold(databoard_sf_id=FOLD_ID)),
        Door("post", TAKEN | dict.fromkeys(CHANGERS, 201), _fold(databoard_s_id=FOLD_ID)),
        Door("post", TAKEN, _fold(databoard_s_id=FOLD_ID, files=_OTHER_FILES)),
        Door("post", _FORCED, _fold(**_TAKEN, force="submission_fold"), CHANGERS),
        Door("post", _FORCED, _fold(databoard_sf_id=FOLD_ID, force="submission_fold"), CHANGERS),
        Door("post", _FORCED, _fold(**_TAKEN, force="submission", files=_OTHER_FILES), CHANGERS),
    ),
    "runapp/submissionfold/<int:pk>/": look(SEEN),
    # It is finished.
    "runapp/submissionfold/<int:pk>/cancel/": (Door("post", CHANGED | dict.fromkeys(CHANGERS, 409)),),
    "runapp/submissionfold/<int:pk>/retrain/": (Door("post", CHANGED, changed_by=CHANGERS),),
    "runapp/submissionfold-light/": look(MEMBERS),
    "runapp/testpredictions/list/": (
        # Only the poster's asking counts as handing out.
        Door("post", MEMBERS, {"list_submission_fold": [FOLD_ID]}, frozenset({"anne"})),
    ),
    "runapp/testpredictions/new/": (Door("post", MEMBERS, {}, frozenset({"anne"})),),
}
