"""Views of the queue that people keep: named queries, shown as tabs."""

from django.db import IntegrityError, transaction
from django.db.models import Q

from accounts.models import User
from cases.filters import QueueFilters
from cases.queue_models import SavedView

MOST = 12
"""Views of one user; as many shared ones are shown besides."""


class ViewRefused(ValueError):
    """A view that cannot be kept as asked; the message says what to do."""


def views_of(user: User) -> list[SavedView]:
    """The user's own views, then those that others share."""
    rows = SavedView.objects.filter(Q(owner=user) | Q(shared=True)).select_related("owner")
    own = [row for row in rows[: 20 * MOST] if row.owner_id == user.pk]
    shared = [row for row in rows[: 20 * MOST] if row.owner_id != user.pk]
    return own[:MOST] + shared[:MOST]


def may_change(view: SavedView, user: User) -> bool:
    """Its owner may, and for a shared one whoever may share."""
    return view.owner_id == user.pk or (view.shared and user.has_perm("cases.share_view"))


def save_view(user: User, *, name: str, filters: QueueFilters, shared: bool) -> SavedView:
    """Keep the filters under a name; the same name again replaces them. Raises ViewRefused."""
    name = _checked(user, name, shared)
    known = SavedView.objects.filter(owner=user, name=name).exists()
    if not known and SavedView.objects.filter(owner=user).count() >= MOST:
        raise ViewRefused(f"You have {MOST} views already. Delete one first.")
    view, _ = SavedView.objects.update_or_create(
        owner=user, name=name, defaults={"query": filters.query(), "shared": shared}
    )
    return view


def change_view(view: SavedView, *, name: str, shared: bool, actor: User) -> SavedView:
    """Rename or share it. Raises ViewRefused."""
    if not may_change(view, actor):
        raise ViewRefused("This view belongs to somebody else.")
    view.name = _checked(actor, name, shared and not view.shared)
    view.shared = shared
    try:
        with transaction.atomic():
            view.save(update_fields=["name", "shared"])
    except IntegrityError:
        raise ViewRefused("There is a view of this name already. Choose another name.") from None
    return view


def delete_view(view: SavedView, *, actor: User) -> None:
    """Raises ViewRefused."""
    if not may_change(view, actor):
        raise ViewRefused("This view belongs to somebody else.")
    view.delete()


def _checked(user: User, name: str, sharing: bool) -> str:
    name = " ".join(name.replace("\0", "").split())
    if not name or len(name) > 40:
        raise ViewRefused("Give the view a name of at most 40 characters.")
    if sharing and not user.has_perm("cases.share_view"):
        raise ViewRefused("Only a lead shares a view with everybody.")
    return name
