"""The orders that stand now for the values of events and their entity, beside those they met."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Case, F, QuerySet, Value, When
from django.urls import reverse

from accounts import vault
from scoring import presenting
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec
from scoring.models import Prediction
from scoring.ordering import listable
from scoring.policies import standing
from scoring.policy_models import ListEntry, Snooze
from scoring.policy_store import list_token

SNOOZED = "snooze"
MOST = 20
"""Orders that are told on one page; those of the event that it shows come first."""


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """One entry of a list, or one snoozed rule, for people. `of`: the field with its value, masked
    where it is personal data; the rule's code. `since`: it was given after the event came that the
    page shows, or, `elsewhere`, after the newest of the others that has this value."""

    kind: str
    of: str
    reason: str
    author: str
    expires_at: datetime | None
    since: bool
    url: str
    elsewhere: bool = False


def listable_values(prediction: Prediction, spec: DetectorSpec) -> dict[str, str]:
    """The event's values that may stand on a list, in clear, the entity's first."""
    found = {}
    for name in sorted(listable(spec), key=lambda name: name != spec.entity_field):
        value = prediction.event.get(name)
        text = "" if value is None else key_text(value).strip()
        sealed = vault.is_encrypted(text)
        if sealed and name not in spec.pii_fields:
            continue  # Once personal data, now no more: a list would keep it in clear.
        try:
            plain = vault.decrypt(text) if sealed else text
        except vault.VaultError:
            continue  # The key is gone: nobody can tell what stood there.
        if plain:
            found[name] = plain
    return found


def orders_now(
    prediction: Prediction,
    spec: DetectorSpec | None,
    now: datetime,
    others: Sequence[Prediction] = (),
) -> list[StandingOrder]:
    """What stands at `now` for the values of this event and of `others` of its entity, and which
    rules are snoozed for that: those of this event and its entity, then the others', the newest
    first, at most `MOST`. One query, whatever there is."""
    own = _tokens(prediction, spec)
    came = dict.fromkeys(own, prediction.received_at)
    for other in others:
        for token in _tokens(other, spec) - own:
            came[token] = max(came.get(token, other.received_at), other.received_at)
    entries = ListEntry.objects.filter(
        standing(now), detector=prediction.detector_id, token__in={token for _, token in came}
    )
    snoozes = Snooze.objects.filter(
        standing(now), rule__detector=prediction.detector_id, token=prediction.entity
    )
    others_last = Case(When(token__in={token for _, token in own}, then=0), default=1)
    found = _columns(entries, F("kind"), F("field"), others_last).union(
        _columns(snoozes, Value(SNOOZED), F("rule__code"), Value(0)), all=True
    )
    newest = found.order_by("place", "-created_at")[:MOST]
    rows = [(row, (row["of"], row["token"])) for row in newest]
    return [
        _told(row, prediction, came.get(token, prediction.received_at), token not in own)
        for row, token in rows
        if row["order"] == SNOOZED or token in came
    ]


def _tokens(prediction: Prediction, spec: DetectorSpec | None) -> set[tuple[str, str]]:
    """The event's fields that may stand on a list, each with what its value is looked up by."""
    values = {} if spec is None else listable_values(prediction, spec)
    return {(name, list_token(name, value)) for name, value in values.items()}


def _columns(rows: QuerySet[Any], order: Any, of: Any, place: Any) -> QuerySet[Any, dict[str, Any]]:
    columns = ("order", "of", "token", "shown", "reason", "name", "created_at", "expires_at")
    named = rows.order_by().annotate(order=order, of=of, name=F("author__username"), place=place)
    return named.values(*columns, "place")


def _told(
    row: Mapping[str, Any], prediction: Prediction, came: datetime, elsewhere: bool
) -> StandingOrder:
    slug, of = prediction.detector.slug, str(row["of"])
    snoozed = row["order"] == SNOOZED
    return StandingOrder(
        kind="Snoozed" if snoozed else f"On the {row['order']} list",
        of=of if snoozed else f"{of} {presenting.masked(row['shown'])[:60]}",
        reason=row["reason"],
        author=row["name"] or "",
        expires_at=row["expires_at"],
        since=row["created_at"] > came,
        url=reverse("rule_detail", args=[slug, of]) if snoozed else reverse("lists", args=[slug]),
        elsewhere=elsewhere and not snoozed,
    )
