"""Who may see and do what: the one rule behind the querysets, services and pages.

What somebody may *begin* is a matter of permissions, which the groups of ``Role`` hold. What somebody may
see and change of what is there is a matter of ownership: ``visible_to`` and ``changeable_by`` of the three
querysets. Staff may do everything.
"""

from enum import StrEnum

from django.contrib.auth.models import AnonymousUser, User

#: Whoever asks: logged in or not.
Person = User | AnonymousUser

VIEW_ALL = "runapp.view_all"
ADD_DATA = "runapp.add_rawdata"
CHANGE_DATA = "runapp.change_rawdata"
UPLOAD_CODE = "runapp.upload_code"
ADD_SUBMISSION = "runapp.add_submission"
CHANGE_SUBMISSION = "runapp.change_submission"


class Role(StrEnum):
    """What an account is for; the group that is named so with an ``s`` has its permissions."""

    ORGANIZER = "organizer"
    SUBMITTER = "submitter"
    OBSERVER = "observer"

    @property
    def group(self) -> str:
        return f"{self.value}s"


_SUBMITTER = (ADD_SUBMISSION, CHANGE_SUBMISSION)

#: Permissions of the roles' groups, as they are made; staff may change them afterwards.
PERMISSIONS: dict[Role, tuple[str, ...]] = {
    Role.ORGANIZER: (ADD_DATA, CHANGE_DATA, UPLOAD_CODE, *_SUBMITTER),
    Role.SUBMITTER: _SUBMITTER,
    Role.OBSERVER: (VIEW_ALL,),
}


def is_staff(person: Person) -> bool:
    """Whether somebody may see and do everything."""
    return person.is_active and (person.is_staff or person.is_superuser)


def may(person: Person, permission: str) -> bool:
    """Whether somebody has a permission of ours, which all staff have."""
    return is_staff(person) or person.has_perm(permission)
