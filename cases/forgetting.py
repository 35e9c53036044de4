"""How people named a person whose data is erased: in titles of cases, in the news of those, and in
views of the queue. Called before their events lose the values that are looked for (cases.erasure).
"""

import re
from collections.abc import Collection

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import QueryDict

from accounts import vault
from cases.filters import QueueFilters
from cases.models import Alert, Case, CaseEvent
from cases.queue_models import SavedView
from notifications.services import change_subjects
from scoring.erasing import ERASED, Person
from scoring.feature_store.history import clear

SHORTEST = 3
"""A shorter value of another field than the entity's is no name: it stands in many titles."""


@transaction.atomic
def forget_names(person: Person) -> None:
    """Where a title names them it says `erased` instead; views that ask for them are deleted."""
    names = _names_of(person)
    for case in _cases_ever(person):
        title = _without(case.title, names)
        if title != case.title:
            case.title = title
            case.save(update_fields=["title"])
            _forget_in_news(case)
    for view in SavedView.objects.filter(Q(query__contains="entity=") | Q(query__contains="q=")):
        asked = QueueFilters.read(QueryDict(view.query).dict())
        if _is_token(person, asked.entity, asked.q) or _without(asked.q, names) != asked.q:
            view.delete()


def _names_of(person: Person) -> list[str]:
    """The values that their events will lose, and how pages mask them; the longest first."""
    own, found = person.spec.entity_field, set()
    for event in person.predictions.filter(erased_at=None).values_list("event", flat=True):
        for field in person.fields:
            value = clear(event.get(field), person.spec.type_of(field))
            if value is not None and (field == own or len(str(value)) >= SHORTEST):
                found.add(str(value))
    found |= {vault.mask(name) for name in found}
    return sorted(found, key=lambda name: (-len(name), name))


def _cases_ever(person: Person) -> QuerySet[Case]:
    """Cases that one of their alerts is in, or was: taken out of, or gone into another with it."""
    alerts = Alert.objects.filter(detector=person.detector, entity=person.token)
    pks = list(alerts.values_list("pk", flat=True))
    put_in = CaseEvent.objects.filter(kind=CaseEvent.Kind.ALERT_ADDED, detail__alert__in=pks)
    return Case.objects.filter(
        Q(alerts__in=pks)
        | Q(merges_in__alerts__in=pks)
        | Q(pk__in=put_in.order_by().values("case"))
    ).distinct()


def _without(text: str, names: Collection[str]) -> str:
    """`text` with `erased` in place of each of these names that stands in it as a whole."""
    for name in names:
        text = re.sub(rf"(?<![\w{vault.MASK[0]}-]){re.escape(name)}(?![\w-])", ERASED, text)
    return text


def _forget_in_news(case: Case) -> None:
    """News of a case ends in its title, behind the words that name its number."""
    said = re.compile(rf".*?\bcase {case.pk}\b[^:]*: ", re.IGNORECASE)

    def retitled(subject: str) -> str:
        words = said.match(subject)
        return words[0] + case.title if words else subject

    change_subjects(case.get_absolute_url(), retitled)


def _is_token(person: Person, *typed: str) -> bool:
    """Whether somebody typed their token, or the value that it is made from."""
    made = {vault.token(person.spec.entity_field, text) for text in typed if text}
    return person.token in made.union(typed)
