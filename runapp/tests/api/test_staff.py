import pytest
from django.contrib.auth.models import User
from django.test import Client

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("is_staff", "status"), [(True, 204), (False, 403)])
def test_only_staff_is_staff(is_staff: bool, status: int) -> None:
    client = Client()
    client.force_login(User.objects.create_user("someone", is_staff=is_staff))
    assert client.get("/api-auth/staff/").status_code == status


def test_a_stranger_is_asked_to_log_in() -> None:
    assert Client().get("/api-auth/staff/").status_code == 401
