"""The `event` section of a declaration: which field plays which role, and how files tell time."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from scoring.core.reader import NUMBERS, Reader
from scoring.core.schema_section import check_schema

ROLES: Final = (
    *("id", "time", "elapsed", "amount", "currency", "entity", "entity_word", "pii"),
    *("label_column", "links", "source", "schema", "undeclared"),
)
KEEP, DROP = "keep", "drop"
"""What becomes of fields that the schema does not name."""
CURRENCY: Final = re.compile(r"[A-Z]{3}")
CODE_LENGTH: Final = 3


def check_event(read: Reader, event: Mapping[str, Any]) -> None:
    """Roles are given to fields that exist, and personal data is no category."""
    read.only("event", event, ROLES)
    if not event.get("schema", {}).get("properties"):
        read.bad("event.schema.properties", "declare the fields of an event")
    if not isinstance(event.get("source", ""), str):
        read.bad("event.source", "is the slug of a source")
    label = event.get("label_column", "")
    if not (read.stored or isinstance(label, str)):
        read.bad("event.label_column", "is the name of a column in imported files")
    elif not read.stored and label in read.fields:
        said = "is a field of events, which would carry the truth: take it out of event.schema"
        read.bad("event.label_column", f"'{label}' {said}")
    for key in ("id", "time", "amount", "entity"):
        given = event.get(key)
        if given or not (read.stored or given in (None, "")):
            read.known_field(f"event.{key}", given)
    check_schema(read, event.get("schema", {}))
    _check_currency(read, event.get("currency", {}))
    _check_personal(read, event)
    for name in event.get("links", []):
        read.known_field("event.links", name)
    for name in event.get("schema", {}).get("required", []):
        read.known_field("event.schema.required", name)
    read.plays("event.time", event.get("time"), types=("string",), form="date-time")
    read.plays("event.amount", event.get("amount"), types=NUMBERS)


def read_elapsed(read: Reader, raw: Mapping[str, Any]) -> tuple[str, float]:
    """(field, since) of files that count their time in seconds."""
    if not raw:
        return "", 0.0
    read.only("event.elapsed", raw, ("field", "since"))
    name = read.number_field("event.elapsed.field", raw.get("field"))
    try:
        since = datetime.fromisoformat(str(raw.get("since")))
    except ValueError:
        read.bad("event.elapsed.since", "is a time such as 2013-09-01T00:00:00Z")
        return name, 0.0
    return name, (since if since.tzinfo else since.replace(tzinfo=UTC)).timestamp()


def _check_personal(read: Reader, event: Mapping[str, Any]) -> None:
    """What is protected exists, and what is not declared is kept or dropped."""
    if not read.stored:
        read.one_of("event.undeclared", event.get("undeclared", KEEP), (KEEP, DROP))
    for name in event.get("pii", []):
        read.known_field("event.pii", name)
        if name == event.get("id"):
            said = "is the id of an event, which is stored in clear: make another field the id"
            read.bad("event.pii", f"'{name}' {said}, or take it out of event.pii if it is none")


def _check_currency(read: Reader, currency: Mapping[str, Any]) -> None:
    """Note every mistake. Earlier releases took any."""
    if read.stored:
        return
    if currency.get("field"):
        name = read.known_field("event.currency.field", currency["field"])
        if name in read.fields and not _holds_codes(read.fields[name]):
            said = "holds codes of three letters: a string with maxLength 3, or an enum of them"
            read.bad("event.currency.field", f"'{name}' {said}")
    if not CURRENCY.fullmatch(str(currency.get("default", "EUR"))):
        read.bad("event.currency.default", "is a code of three capital letters such as EUR")


def _holds_codes(rule: Mapping[str, Any]) -> bool:
    """Whether codes of three characters pass, and nothing longer is asked for: it would be cut."""
    if rule["type"] != "string":
        return False
    allowed = rule.get("enum")
    if isinstance(allowed, list):
        return all(code is None or len(str(code)) == CODE_LENGTH for code in allowed)
    least, most = rule.get("minLength", CODE_LENGTH), rule.get("maxLength", CODE_LENGTH)
    return bool(least <= CODE_LENGTH == most)
