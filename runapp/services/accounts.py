"""Accounts: what they may do, and their tokens."""

from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from rest_framework.authtoken.models import Token

from runapp.errors import Forbidden
from runapp.models.rights import PERMISSIONS, Person, Role, may


def permission_check(person: Person, permission: str, *, to: str) -> None:
    """Raise Forbidden, naming the roles that may, unless somebody has a permission."""
    if not may(person, permission):
        able = " or ".join(role.value for role in Role if permission in PERMISSIONS[role])
        raise Forbidden(f"your account may not {to}: ask the staff of this datarun to make it an {able}'s")


@transaction.atomic
def role_give(user: User, role: Role) -> None:
    """Make somebody an organizer, submitter or observer, beside what they are.

    A group that was deleted is made again; the permissions of one that is there are left as they are.
    """
    group, is_new = Group.objects.get_or_create(name=role.group)
    if is_new:
        codenames = [permission.partition(".")[2] for permission in PERMISSIONS[role]]
        group.permissions.set(
            Permission.objects.filter(content_type__app_label="runapp", codename__in=codenames)
        )
    user.groups.add(group)


@transaction.atomic
def token_make(user: User) -> str:
    """Give somebody a new token, which stands for name and password; the former one is refused now."""
    token_revoke(user)
    return str(Token.objects.create(user=user).key)


def token_revoke(user: User) -> None:
    """Refuse the token of somebody, if there is one."""
    Token.objects.filter(user=user).delete()
