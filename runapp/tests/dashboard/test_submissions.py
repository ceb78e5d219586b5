"""The list of submissions, and the page of one."""

import datetime
import re

import pytest
from django.utils import timezone

from runapp.contract import Outcome, State
from runapp.models import Submission
from runapp.models.rights import Role
from runapp.services.submissions import submission_files_write, submission_folder
from runapp.tests import factories
from runapp.tests.dashboard.conftest import MakeReader, Reader

pytestmark = pytest.mark.django_db


def _listed(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'<th scope="row"><a href="/submissions/(\d+)/"', page)]


def _with_files(**files: bytes) -> Submission:
    submission = factories.make_submission()
    submission_files_write(submission, {name.replace("__", "."): body for name, body in files.items()})
    return submission


def test_the_list_shows_how_far_each_submission_is(staff: Reader) -> None:
    submission = factories.make_submission()
    for state in (State.TESTED, State.TESTED, State.ERROR, State.TODO):
        factories.make_fold(submission, state=state, train_time=2.0, train_memory=2048.0 * 1024)
    factories.make_fold(submission, state=State.TRAINED, started_at=timezone.now())

    page = staff.text("/submissions/")

    assert 'aria-label="2 tested, 1 failed, 1 running, 1 waiting"' in page
    assert "2.0 s" in page
    assert "2.0 GB" in page


def test_the_list_goes_on_page_by_page_without_counting(
    staff: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runapp.dashboard.submissions._PER_PAGE", 2)
    data = factories.make_raw_data()
    ids = [factories.make_submission(data).pk for _ in range(5)]
    seen, path = [], "/submissions/"

    for _ in range(9):
        page = staff.text(path)
        seen += _listed(page)
        following = re.search(r'href="(\?before=\d+)">Next', page)
        if following is None:
            break
        path = f"/submissions/{following[1]}"

    assert seen == ids[::-1]
    assert "First page" in staff.text(path)


def test_the_list_is_narrowed_by_data_set_state_owner_and_id(staff: Reader, eve: Reader) -> None:
    one, other = (factories.make_raw_data() for _ in range(2))
    failed = factories.make_submission(one)
    tested = factories.make_submission(other, owner=eve.user)
    factories.make_fold(failed, state=State.ERROR)
    factories.make_fold(tested, state=State.TESTED)

    assert _listed(staff.text("/submissions/", data_set=one.pk)) == [failed.pk]
    assert _listed(staff.text("/submissions/", folds="failed")) == [failed.pk]
    assert _listed(staff.text("/submissions/", folds="tested")) == [tested.pk]
    assert _listed(staff.text("/submissions/", folds="unfinished")) == []
    assert _listed(staff.text("/submissions/", owner="eve")) == [tested.pk]
    assert _listed(staff.text("/submissions/", id=tested.pk)) == [tested.pk]


@pytest.mark.parametrize(
    "query",
    [{"id": "9" * 30}, {"before": "x"}, {"before": "²"}, {"folds": "<x>"}, {"owner": "a\0b"},
     {"data_set": "-1"}],
)  # fmt: skip
def test_a_query_of_nonsense_is_no_error(staff: Reader, query: dict[str, str]) -> None:
    factories.make_submission()

    page = staff.text("/submissions/", **query)

    assert "<x>" not in page


def test_a_submission_is_listed_to_its_owner_its_organizer_and_observers(
    reader: MakeReader, ada: Reader, eve: Reader
) -> None:
    organizer, observer = reader("olga", Role.ORGANIZER), reader("otto", Role.OBSERVER)
    submission = factories.make_submission(factories.make_raw_data(owner=organizer.user), owner=ada.user)

    for who in (ada, organizer, observer):
        assert _listed(who.text("/submissions/")) == [submission.pk]
        assert who.get(f"/submissions/{submission.pk}/").status_code == 200
    assert _listed(eve.text("/submissions/")) == []
    assert eve.get(f"/submissions/{submission.pk}/").status_code == 404
    assert eve.get("/submissions/99999999999999/").status_code == 404


def test_a_submission_shows_each_fold_with_its_reason_and_timeline(staff: Reader) -> None:
    submission = factories.make_submission()
    posted = timezone.now() - datetime.timedelta(minutes=5)
    factories.make_fold(
        submission, state=State.ERROR, outcome=Outcome.USER_ERROR, log_messages="ValueError: too few",
        created_at=posted, sent_at=posted + datetime.timedelta(seconds=1),
        started_at=posted + datetime.timedelta(seconds=11), saved_at=posted + datetime.timedelta(seconds=14),
    )  # fmt: skip

    page = staff.text(f"/submissions/{submission.pk}/")

    assert "ValueError: too few" in page
    assert 'aria-label="to be sent 1.0 s, queued 10.0 s, until it failed 3.0 s"' in page


def test_the_folds_of_a_submission_go_on_page_by_page(staff: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runapp.dashboard.submissions._FOLDS_PER_PAGE", 2)
    submission = factories.make_submission()
    folds = [factories.make_fold(submission).pk for _ in range(3)]
    link = r'<th scope="row"><a href="/folds/(\d+)/"'

    first = staff.text(f"/submissions/{submission.pk}/")
    second = staff.text(f"/submissions/{submission.pk}/", after=folds[1])

    assert [int(f) for f in re.findall(link, first)] == folds[:2]
    assert f"?after={folds[1]}" in first
    assert [int(f) for f in re.findall(link, second)] == folds[2:]


def test_code_is_highlighted_by_classes(staff: Reader) -> None:
    page = staff.text(f"/submissions/{_with_files(classifier__py=b'class Classifier:  # x').pk}/")

    assert '<span class="k">class</span>' in page
    assert "style=" not in page


def test_a_file_that_is_no_text_is_named_and_not_shown(staff: Reader) -> None:
    files = {"weights__bin": b"\0\1\2" * 9, "latin__txt": "é".encode("latin-1") * 9}

    page = staff.text(f"/submissions/{_with_files(**files).pk}/")

    assert "weights.bin" in page
    assert "A binary file, which is not shown." in page
    assert "Not text in UTF-8, and not shown." in page


def test_of_large_files_the_beginning_is_shown(staff: Reader) -> None:
    line = b"x = 1  # \xc3\xa9\n"
    large = line * (3 * 64 * 1024 // len(line))

    page = staff.text(f"/submissions/{_with_files(**{f'f{i}__py': large for i in range(6)}).pk}/")

    assert page.count("The first 64 KB are shown.") == 4
    assert page.count("Not shown: there is so much of the others.") == 2
    assert len(page) < 400 * 1024


def test_files_that_are_gone_are_said_to_be_so(staff: Reader) -> None:
    assert "The files are not on the shared disk" in staff.text(
        f"/submissions/{factories.make_submission().pk}/"
    )


def test_a_link_among_the_files_is_not_followed(
    staff: Reader, tmp_path_factory: pytest.TempPathFactory
) -> None:

    secret = tmp_path_factory.mktemp("elsewhere") / "secret.py"
    secret.write_text("password = 'hidden'")
    submission = _with_files(classifier__py=b"pass")
    (submission_folder(submission) / "link.py").symlink_to(secret)

    page = staff.text(f"/submissions/{submission.pk}/")
    assert "classifier.py" in page
    assert "hidden&#" not in page
