"""Rows of the ground floor."""

import factory

from accounts.api_keys import create_api_key
from accounts.models import ApiKey, User
from accounts.services import set_roles


class UserFactory(factory.django.DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"user{n}")
    password = factory.django.Password("correct horse battery")


def user_with_role(*roles: str, username: str | None = None) -> User:
    user = UserFactory(username=username) if username else UserFactory()
    set_roles(user, roles=roles, actor=None)
    return user


def key_for(
    user: User | None = None, *, scopes: tuple[str, ...] = ("score",), rate: str = "none"
) -> tuple[ApiKey, str]:
    """A key of these scopes; of none too, which only the table can hold."""
    key, plain = create_api_key(
        user=user or UserFactory(), label="test", scopes=scopes or ["score"], rate=rate, actor=None
    )
    if not scopes:
        key.scopes = []
        key.save(update_fields=["scopes"])
    return key, plain
