"""The tests of the admin pages have settings of their own: under others they are left out."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

collect_ignore_glob = [] if "django.contrib.admin" in settings.INSTALLED_APPS else ["test_*.py"]

MakeUser = Callable[..., Client]


@pytest.fixture
def staff(db: None) -> MakeUser:
    """Make a client that is logged in as a member of staff with these permissions: `staff("view_taskstate")`."""
    from django.contrib.auth.models import Permission, User

    def make(*codenames: str, **options: Any) -> Client:
        user = User.objects.create_user(f"user{User.objects.count()}", password="x", is_staff=True)
        granted = Permission.objects.filter(content_type__app_label="machinery", codename__in=codenames)
        assert granted.count() == len(set(codenames))
        user.user_permissions.set(granted)
        client = Client(**options)
        client.force_login(user)
        return client

    return make


@pytest.fixture
def operator(db: None) -> Client:
    """A client that may do everything."""
    from django.contrib.auth.models import User

    client = Client()
    client.force_login(User.objects.create_superuser("ada"))
    return client
