"""The orders that stand now for an event's values and its entity, beside those that it met."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet, Value
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
"""Orders that are told of one event."""


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """One entry of a list, or one snoozed rule, for people. `of`: the field with its value, masked
    where it is personal data; the rule's code. `since`: it was given after the event came."""

    kind: str
    of: str
    reason: str
    author: str
    expires_at: datetime | None
    since: bool
    url: str


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
    prediction: Prediction, spec: DetectorSpec | None, now: datetime
) -> list[StandingOrder]:
    """What stands at `now` for the values of this event, and which rules are snoozed for its
    entity; the newest first, at most `MOST`. One query, whatever there is."""
    values = {} if spec is None else listable_values(prediction, spec)
    tokens = {(name, list_token(name, value)) for name, value in values.items()}
    entries = ListEntry.objects.filter(
        standing(now), detector=prediction.detector_id, token__in={token for _, token in tokens}
    )
    snoozes = Snooze.objects.filter(
        standing(now), rule__detector=prediction.detector_id, token=prediction.entity
    )
    found = _columns(entries, F("kind"), F("field")).union(
        _columns(snoozes, Value(SNOOZED), F("rule__code")), all=True
    )
    return [
        _told(row, prediction)
        for row in found.order_by("-created_at")[:MOST]
        if row["order"] == SNOOZED or (row["of"], row["token"]) in tokens
    ]


def _columns(rows: QuerySet[Any], order: Any, of: Any) -> QuerySet[Any, dict[str, Any]]:
    return (
        rows.order_by()
        .annotate(order=order, of=of, name=F("author__username"))
        .values("order", "of", "token", "shown", "reason", "name", "created_at", "expires_at")
    )


def _told(row: Mapping[str, Any], prediction: Prediction) -> StandingOrder:
    slug, of = prediction.detector.slug, str(row["of"])
    snoozed = row["order"] == SNOOZED
    return StandingOrder(
        kind="Snoozed" if snoozed else f"On the {row['order']} list",
        of=of if snoozed else f"{of} {presenting.masked(row['shown'])[:60]}",
        reason=row["reason"],
        author=row["name"] or "",
        expires_at=row["expires_at"],
        since=row["created_at"] > prediction.received_at,
        url=reverse("rule_detail", args=[slug, of]) if snoozed else reverse("lists", args=[slug]),
    )
