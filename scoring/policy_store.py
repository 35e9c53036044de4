"""Policies as they serve: a PolicySnapshot compiled once a process, and what people ordered.

The digest of the policy in force is read with the champion's (scoring.deployment); its content is
read and compiled on first sight. List entries and snoozes are rows, not content: they are looked up
for the values of a batch, as of the moment it was received.
"""

import hashlib
import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from accounts import vault
from scoring.core.bundle import Bundle
from scoring.core.policy import Policy
from scoring.core.rule_parsing import names_in
from scoring.core.rule_spec import RuleSpec
from scoring.core.rule_text import filled_text
from scoring.core.rules import Rule, compile_rule, readable
from scoring.core.schema import key_text
from scoring.core.spec import DetectorSpec, ScreeningSpec
from scoring.core.types import NO_ORDERS, ListHit, Orders, Stage
from scoring.core.vocabulary import ANY, RuleError
from scoring.core.watchlist import WatchlistError
from scoring.policy_models import ListEntry, PolicySnapshot, RuleVersion, Snooze
from scoring.policy_models import Rule as RuleRow
from scoring.standing_in import Unscreened, unevaluated
from scoring.watchlist_store import screener

logger = logging.getLogger(__name__)
MOST_COMPILED = 32
MOST_PARAMETERS = 10_000
ENTRIES_OF = f"""
    SELECT token, field, kind, id, reason, created_at, expires_at, revoked_at
    FROM {ListEntry._meta.db_table} WHERE detector_id = %s AND token IN ({{marks}}) ORDER BY id
"""  # noqa: S608 - our own names
SNOOZES_OF = f"""
    SELECT snooze.token, rule.code, snooze.created_at, snooze.expires_at, snooze.revoked_at
    FROM {Snooze._meta.db_table} snooze JOIN {RuleRow._meta.db_table} rule
    ON rule.id = snooze.rule_id WHERE rule.detector_id = %s AND snooze.token IN ({{marks}})
"""  # noqa: S608 - our own names

Item = tuple[str, Mapping[str, str]]
"""The token of an event's entity, and by list field the token of its value."""

_compiled: dict[tuple[str, str], Policy] = {}
# By detector: the policy that was compiled last, and the readings that it screens by.
_last_good: dict[str, tuple[Policy, Mapping[str, str]]] = {}
_compiling = threading.Lock()


class PolicyError(ValueError):
    """A policy that cannot serve: unknown, or changed since it was published."""


def digest_of(content: Mapping[str, Any]) -> str:
    """The SHA-256 that names a policy's content, whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def policy(digest: str, bundle: Bundle) -> Policy:
    """The policy, compiled for what the bundle offers to read.

    Without a digest the bundle's own rules serve. Where the policy cannot be read the last one of
    this process goes on, else the bundle's rules; the prediction stores which. Where a reading of
    a list cannot be read, the last ones of this process go on under today's rules; a detector that
    should screen and cannot asks for a human: what nobody screened is not approved. Lists and
    snoozes are rows, and count in each of these cases.
    """
    if not digest:
        return bundle.policy
    key = (digest, bundle.digest)
    found = _compiled.get(key)
    if found is None:
        with _compiling:
            found = _compiled.get(key) or _compile_first(key, bundle)
    return found


def _compile_first(key: tuple[str, str], bundle: Bundle) -> Policy:
    """Compile and remember, or tell what serves instead, which is not remembered."""
    digest, slug = key[0], bundle.spec.slug
    try:
        content = read_content(digest)
    except PolicyError:
        logger.exception("policy %s cannot serve; the last good one does", digest[:12])
        known = _last_good.get(slug)
        return ordered_by_all(known[0] if known else _own_rules(bundle), bundle)
    try:
        found = compile_policy(digest, content, bundle)
    except WatchlistError:
        logger.exception("policy %s: a watchlist cannot be read", digest[:12])
        return _with_lists_of_before(content, bundle) or _without_lists(digest, content, bundle)
    while len(_compiled) >= MOST_COMPILED:
        _compiled.pop(next(iter(_compiled)))
    _compiled[key] = found
    _last_good[slug] = (found, content["watchlists"])
    return found


def _own_rules(bundle: Bundle) -> Policy:
    """The bundle's rules where the policy is gone."""
    screening = bundle.spec.screening
    if screening is None:
        return bundle.policy
    return replace(bundle.policy, screener=Unscreened(screener(screening, {})))


def ordered_by_all(policy: Policy, bundle: Bundle) -> Policy:
    """The policy with every order that there may be: which there are, nobody can tell."""
    fields = tuple(sorted(bundle.spec.schema["properties"]))
    return replace(policy, list_fields=fields, has_snoozes=True, stands_in=True)


def _with_lists_of_before(content: Mapping[str, Any], bundle: Bundle) -> Policy | None:
    """Today's policy with the readings that were in force before; None where one is lacking.

    It is a policy with a name of its own, kept like any other, so that its decisions replay.
    """
    _, before = _last_good.get(bundle.spec.slug, (None, {}))
    if not content["watchlists"].keys() <= before.keys():
        return None
    mixed = {**content, "watchlists": dict(before)}
    digest = digest_of(mixed)
    try:
        found = compile_policy(digest, mixed, bundle)
    except WatchlistError:
        return None
    published = PolicySnapshot.objects.filter(pk=digest_of(content)).only("detector").get()
    PolicySnapshot.objects.get_or_create(
        digest=digest, defaults={"detector_id": published.detector_id, "content": mixed}
    )
    return replace(found, stands_in=True)


def _without_lists(digest: str, content: Mapping[str, Any], bundle: Bundle) -> Policy:
    """Today's policy where no list can be read: rules and countries still speak."""
    found = compile_policy(digest, {**content, "watchlists": {}}, bundle)
    return replace(found, screener=Unscreened(found.screener), stands_in=True)


def read_content(digest: str) -> dict[str, Any]:
    """What the policy says. Raises PolicyError."""
    row = PolicySnapshot.objects.filter(pk=digest).values_list("content", flat=True).first()
    if row is None:
        raise PolicyError(f"Policy {digest[:12]} is unknown.")
    if digest_of(row) != digest:
        raise PolicyError(f"Policy {digest[:12]} was changed since it was published.")
    content: dict[str, Any] = row
    return content


def compile_policy(digest: str, content: Mapping[str, Any], bundle: Bundle) -> Policy:
    """The content as what decides. A name that the bundle does not offer is a missing value.

    Raises WatchlistError when a list that it screens against is gone or damaged.
    """
    rules, faults = compile_rules(content["rules"], bundle)
    for fault in faults:
        logger.error("bundle %s, rule %s: %s", bundle.digest[:12], fault.code, fault.problem)
    return Policy(
        digest=digest,
        rules=tuple(rules),
        audit_rate=float(content["audit_rate"]),
        screener=(
            screener(screening_spec(content["screening"]), content["watchlists"])
            if content["screening"]
            else None
        ),
        list_fields=tuple(content["list_fields"]),
        has_snoozes=bool(content["has_snoozes"]),
        review_after=float(content.get("review_after", 0.0)),
    )


@dataclass(frozen=True, slots=True)
class RuleFault:
    """A rule in force that is not what it should be, and why.

    A bundle cannot evaluate it, or it is `evaluated` as it is stored: it would be taken in no more,
    or the bundle lacks the names `absent`, which are missing in every event then.
    """

    code: str
    version: int
    stage: Stage
    problem: str
    evaluated: bool = False
    absent: tuple[str, ...] = ()


def absent_names(when: str, parameters: Mapping[str, Any], bundle: Bundle) -> tuple[str, ...]:
    """What a rule reads and the bundle neither takes from events nor computes; personal data, which
    no rule reads, apart."""
    offered = readable(bundle.spec).keys() | bundle.spec.pii_fields | parameters.keys()
    return tuple(sorted(names_in(when) - offered))


def compile_rules(
    bodies: Iterable[Mapping[str, Any]], bundle: Bundle
) -> tuple[list[Rule], list[RuleFault]]:
    """The rules as far as the bundle can evaluate them, and what is wrong with others.

    In place of a live one that cannot be evaluated stands a rule that asks for a human; a shadow
    one is left out. One that only looks for a value among those of another kind goes on as it was:
    the policy's digest names what it decided, and the rest of it may be right.
    """
    offered = readable(bundle.spec)
    rules: list[Rule] = []
    faults: list[RuleFault] = []
    for body in bodies:
        stage = Stage(body["stage"])
        try:
            # What this bundle lacks is missing in every event; personal data stays out of reach.
            absent = absent_names(body["when"], body["parameters"], bundle)
            known = dict.fromkeys(absent, ANY) | offered
            said = rule_spec(body)
            hidden = bundle.spec.pii_fields
            rules.append(compile_rule(said, known, stage=stage, hidden=hidden, stored=True))
        except RuleError as error:
            faults.append(RuleFault(body["code"], body["version"], stage, str(error)))
            if stage is Stage.LIVE:
                rules.append(unevaluated(body["code"], body["version"], str(error)))
            continue
        if absent:
            problem = f"the bundle lacks {', '.join(absent)}"
            faults.append(RuleFault(said.code, said.version, stage, problem, True, absent))
        try:
            compile_rule(said, known)
        except RuleError as error:
            faults.append(RuleFault(said.code, said.version, stage, str(error), evaluated=True))
    return rules, faults


def rule_body(version: RuleVersion, spec: DetectorSpec) -> dict[str, Any]:
    """A version of a rule as JSON, for a policy's content: its text with the values in force, so
    that a policy says ever after what it said."""
    code = version.rule.code
    return {
        "code": code,
        "version": version.number,
        "stage": str(version.stage),
        "when": version.when,
        "parameters": version.parameters,
        "outcome": version.outcome,
        "weight": version.weight,
        "text": text_in_force(version, spec),
    }


def text_in_force(version: RuleVersion, spec: DetectorSpec) -> str:
    """What a version says to people, with the values of its parameters."""
    rule = RuleSpec("", 0, version.when, "", version.text, parameters=version.parameters)
    return filled_text(rule, spec, stored=True)


def rule_spec(body: Mapping[str, Any]) -> RuleSpec:
    """A rule of a policy's content as a declared one."""
    names = ("code", "version", "when", "outcome", "text", "weight", "parameters")
    return RuleSpec(**{name: body[name] for name in names})


def screening_body(spec: ScreeningSpec | None) -> dict[str, Any] | None:
    """Screening settings as JSON, for a policy's content."""
    if spec is None:
        return None
    found = asdict(spec)
    return found | {
        "lists": list(spec.lists),
        "embargoed": sorted(spec.embargoed),
        "high_risk": sorted(spec.high_risk),
    }


def screening_spec(body: Mapping[str, Any]) -> ScreeningSpec:
    """The reverse of `screening_body`; what says nothing of readings was decided without, and true
    meant signs of hiding."""
    return ScreeningSpec(
        **{
            **body,
            "readings": int(body.get("readings", 0)),
            "lists": tuple(body["lists"]),
            "embargoed": frozenset(body["embargoed"]),
            "high_risk": frozenset(body["high_risk"]),
        }
    )


def list_token(field: str, value: object) -> str:
    """What a value of a field is looked up by on the lists; an entity's token, for its key."""
    return vault.token(field, key_text(value).strip())


def list_tokens(policy: Policy, fields: Mapping[str, Any]) -> dict[str, str]:
    """The tokens of an event's values that the policy's lists may hold, by field."""
    return {
        name: list_token(name, value)
        for name in policy.list_fields
        if (value := fields.get(name)) is not None
    }


def read_orders(
    detector_id: int,
    policy: Policy,
    items: Sequence[Item],
    at: datetime | Sequence[datetime],
) -> list[Orders]:
    """What stood on the lists and was snoozed for each item at `at` (one moment, or one each).

    At most one query for the lists and one for the snoozes, none where the policy has neither. The
    audit's draw is the caller's to add.
    """
    if not items or not (policy.list_fields or policy.has_snoozes):
        return [NO_ORDERS] * len(items)
    moments = [at] * len(items) if isinstance(at, datetime) else at
    entries: dict[str, list[tuple[Any, ...]]] = {}
    snoozes: dict[str, list[tuple[Any, ...]]] = {}
    if policy.list_fields:
        tokens = {token for _, values in items for token in values.values()}
        entries = _by_token(ENTRIES_OF, detector_id, tokens)
    if policy.has_snoozes:
        snoozes = _by_token(SNOOZES_OF, detector_id, {entity for entity, _ in items})
    if not entries and not snoozes:
        return [NO_ORDERS] * len(items)
    return [
        _orders(entity, values, entries, snoozes, moment)
        for (entity, values), moment in zip(items, moments, strict=True)
    ]


def _by_token(sql: str, detector_id: int, tokens: set[str]) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    wanted = sorted(tokens)
    with connection.cursor() as cursor:
        for first in range(0, len(wanted), MOST_PARAMETERS):
            part = wanted[first : first + MOST_PARAMETERS]
            cursor.execute(sql.format(marks=", ".join(["%s"] * len(part))), [detector_id, *part])
            for token, *row in cursor.fetchall():
                found.setdefault(token, []).append(tuple(row))
    return found


def _orders(
    entity: str,
    values: Mapping[str, str],
    entries: Mapping[str, list[tuple[Any, ...]]],
    snoozes: Mapping[str, list[tuple[Any, ...]]],
    at: datetime,
) -> Orders:
    hits: dict[str, list[ListHit]] = {ListEntry.Kind.ALLOW.value: [], ListEntry.Kind.DENY.value: []}
    for name in sorted(values):
        for field, kind, entry_id, reason, *times in entries.get(values[name], ()):
            if field == name and _stands(times, at):
                hits[kind].append(ListHit(entry_id, kind, field, reason))
    until: dict[str, str] = {}
    for code, *times in snoozes.get(entity, ()):
        if _stands(times, at):
            end = stored_moment(times[1])
            until[code] = max(until.get(code, ""), "" if end is None else end.isoformat())
    return Orders(
        allowed=tuple(hits[ListEntry.Kind.ALLOW]),
        denied=tuple(hits[ListEntry.Kind.DENY]),
        snoozes=until,
    )


def stored_moment(value: Any) -> datetime | None:
    """A time as the driver gives it: SQLite has texts without a zone, in UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if value is None or value.tzinfo is not None:
        found: datetime | None = value
        return found
    return value.replace(tzinfo=UTC)


def _stands(times: Sequence[Any], at: datetime) -> bool:
    """Whether a row of (created, expires, revoked) stood at `at`."""
    created, expires, revoked = (stored_moment(time) for time in times)
    return (
        created is not None
        and created <= at
        and (expires is None or at < expires)
        and (revoked is None or at < revoked)
    )
