"""Declared sources: keep them, and score what they send. And the aliases of detectors."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import orjson
from django.db import transaction

from accounts.models import User
from accounts.services import record_audit
from scoring.core.json_values import with_nul, without_value
from scoring.core.reader import SpecError
from scoring.core.spec import DetectorSpec
from scoring.deployment import NothingServes, UnknownDetector, latest, serving_of
from scoring.models import Detector
from scoring.pipeline_declaration import is_made_of_another
from scoring.selectors import detector_made_from
from scoring.services import Outcome, Refused, score_events
from scoring.source_declaration import Declared, SourceError
from scoring.source_models import FILES, PUSHED, STREAMS, DetectorAlias, Source, fields_read
from scoring.source_texts import keep_text, source_base

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

MOST_PROBLEMS = 20


class StaleSource(ValueError):
    """The source was changed, or made, since its author looked."""


class NoDetector(LookupError):
    """The source does not say whose events it brings."""


def slug_of_model(name: str) -> str:
    """The slug of the detector that clients call `name`: its own, or an alias of it.

    Raises UnknownDetector.
    """
    try:
        return latest(name).slug
    except UnknownDetector:
        found = DetectorAlias.objects.filter(alias=name).values_list("detector__slug", flat=True)
        slug = found.first()
        if slug is None:
            raise
        return str(slug)


@transaction.atomic
def save_source(
    declared: Declared, *, actor: User | None, base: str | None = None
) -> tuple[Source, bool]:
    """Make or update the source of that slug; (source, whether it is new). Audited.

    `base` is that of the text that a person looked at (`source_base`); None for a file or a client,
    which are right whatever stands.
    Raises SourceError when it does not fit its detector, StaleSource when another source stands.
    """
    detector = detector_for(declared)
    if base is not None:
        stands = Source.objects.select_for_update().filter(slug=declared.slug).first()
        if base != source_base(stands):
            raise StaleSource(declared.slug)
    source, created = Source.objects.update_or_create(
        slug=declared.slug,
        defaults={
            "name": declared.name,
            "source_type": declared.source_type,
            "config": declared.config,
            "schema": declared.schema,
            "pii_fields": declared.pii_fields,
            "detector": detector,
            "mapping": declared.mapping,
        },
    )
    keep_text(source, declared.text)
    record_audit(
        actor=actor, action="source.added" if created else "source.changed", subject=source
    )
    return source, created


def detector_for(declared: Declared) -> Detector | None:
    """The detector whose events it brings: the one named, else that which a pipeline made of them.

    Raises SourceError when there is none of that slug, or when it does not fit.
    """
    if not declared.detector:
        return detector_made_from(declared.slug)
    detector = Detector.objects.filter(slug=declared.detector).first()
    if detector is None:
        problem = ("detector", f"there is no detector '{declared.detector}'")
        raise SourceError([problem], declared.lines)
    if detector == detector_made_from(declared.slug):
        return detector  # It follows the source, once its pipeline is loaded again.
    try:
        problems = _misfits(declared, detector.spec(), serving_of(detector).bundle.spec)
    except (SpecError, NothingServes) as error:
        problem = ("detector", f"the declaration of '{declared.detector}' cannot be read")
        raise SourceError([problem], declared.lines) from error
    if problems:
        raise SourceError(problems, declared.lines)
    return detector


def effects_of(source: Source | None, declared: Declared) -> list[str]:
    """What saving it would do, in sentences."""
    after = Source(
        slug=declared.slug,
        source_type=declared.source_type,
        schema=declared.schema,
        pii_fields=declared.pii_fields,
        detector=detector_for(declared),
        mapping=declared.mapping,
    )
    told = [how_it_comes(after)]
    if source is None:
        return [f"A new source, {declared.slug}.", *told]
    if source.detector != after.detector:
        names = [row.slug if row else "no detector" for row in (source.detector, after.detector)]
        told.append(f"Its events go to {names[1]} instead of {names[0]}.")
    if (source.schema, source.mapping) != (declared.schema, declared.mapping):
        told.append("Events are checked and mapped as this says from the next one on.")
    if source.source_type in STREAMS:
        told.append("A consumer that runs goes on as it was started: start it again.")
    return told


def _misfits(
    declared: Declared, spec: DetectorSpec, serving: DetectorSpec
) -> list[tuple[str, str]]:
    """Where the source does not give what the detector needs, or would show what it must hide.

    `serving`: the declaration that a champion was trained with goes on deciding what is encrypted.
    """
    known = spec.schema["properties"]
    given = fields_read(declared.mapping, declared.schema["properties"])
    found = [
        (f"mapping.{own}", f"'{own}' is not a field of detector '{spec.slug}'")
        for own in declared.mapping
        if own not in known
    ]
    found += [
        ("schema.properties", f"detector '{spec.slug}' needs '{name}': declare or map it")
        for name in spec.schema.get("required", ())
        if name not in given
    ]
    for own, theirs in given.items():
        if theirs not in declared.pii_fields or own not in known:
            continue
        place = f"pii_fields.{declared.pii_fields.index(theirs)}"
        if not _hidden(spec, own):
            found.append(
                (
                    place,
                    f"detector '{spec.slug}' keeps '{own}' in clear: declare it as pii there first",
                )
            )
        elif not _hidden(serving, own):
            found.append(
                (
                    place,
                    f"the champion of detector '{spec.slug}' keeps '{own}' in clear, "
                    "as it was declared before: train and promote a version first",
                )
            )
    return found


def _hidden(spec: DetectorSpec, field: str) -> bool:
    return field in spec.pii_fields


def losses_of(source: Source) -> str:
    """What of a source's events does not reach its detector, in sentences; empty where all does.

    By what served it when this process last looked: who scores leaves out the same.
    """
    if source.detector is None:
        return ""
    if not source.detector.enabled:
        return f"Detector '{source.detector.slug}' is switched off: nothing is scored."
    if is_made_of_another(source, source.detector.config):
        return "Its detector was made of another schema: load its feature pipeline again."
    try:
        spec = latest(source.detector.slug).bundle.spec
    except UnknownDetector:
        return ""
    except NothingServes as error:
        return str(error)
    properties = source.schema.get("properties", {})
    given = fields_read(source.mapping, properties)
    unknown = [theirs for own, theirs in given.items() if own not in spec.schema["properties"]]
    nested = [theirs for theirs in unknown if _is_nested(properties[theirs])]
    found = [f"Objects and lists are left out: {', '.join(nested)}."] if nested else []
    # What is personal is told below.
    plain = [theirs for theirs in unknown if theirs not in {*nested, *source.pii_fields}]
    if plain and spec.drops_undeclared:
        found.append(f"Detector '{spec.slug}' drops what it does not declare: {', '.join(plain)}.")
    found += [
        f"Detector '{spec.slug}' keeps no '{own}' as personal data: it is left out of its events."
        for own, theirs in given.items()
        if theirs in source.pii_fields and not _hidden(spec, own)
    ]
    if spec.entity_field and spec.entity_field not in given:
        found.append(
            f"Its events bring no '{spec.entity_field}', by which detector '{spec.slug}' tells"
            f" whose they are: declare it, or add mapping: {{{spec.entity_field}: FIELD}}."
        )
    return " ".join(found)


def _is_nested(rule: object) -> bool:
    kinds = rule.get("type", ()) if isinstance(rule, Mapping) else ()
    return not {"object", "array"}.isdisjoint([kinds] if isinstance(kinds, str) else kinds)


def how_it_comes(source: Source) -> str:
    """What brings the source's events here, and what of them is lost, for who declared it."""
    return " ".join(filter(None, (_way_of(source), losses_of(source))))


def _way_of(source: Source) -> str:
    if source.detector_id is None:
        return (
            "It names no detector: its events can be scored once it does, or once a feature"
            " pipeline is loaded for it, with manage.py load_detectors FILE."
        )
    if source.source_type in PUSHED:
        return f"POST its events to /api/v1/sources/{source.slug}/events."
    if source.source_type in FILES:
        return (
            f"manage.py run_source {source.slug} imports the file;"
            " with --alert-days 0 its events open no alerts."
        )
    assert source.source_type in STREAMS  # noqa: S101 - the model has no other type
    return (
        "A consumer reads it, as long as one runs, and nothing else does:"
        f" manage.py consume --source {source.slug} starts one."
    )


def score_source_events(
    source: Source, events: Sequence[object], *, made_up_ids: Sequence[str] = ()
) -> list[Outcome]:
    """Check events against the source's schema, score those that pass; in the order sent.

    `made_up_ids`: one an event, for where it brings none. The source's schema is asked first: it
    need not know of them, and misses an id that it requires.

    Raises NoDetector, UnknownDetector, WindowStateError.
    """
    if source.detector is None:
        raise NoDetector(source.slug)
    spec = latest(source.detector.slug).bundle.spec
    wrong = [problems_of(source, event) for event in events]
    ids = made_up_ids or [""] * len(events)
    passed = [
        with_id(spec, event_for(source, spec, event), made_up)
        for event, made_up, problems in zip(events, ids, wrong, strict=True)
        if not problems and isinstance(event, dict)
    ]
    outcomes = score_events(source.detector.slug, passed) if passed else []
    scored = iter([_as_sent(source, outcome) for outcome in outcomes])
    return [Refused(tuple(problems)) if problems else next(scored) for problems in wrong]


def _as_sent(source: Source, outcome: Outcome) -> Outcome:
    """The outcome, its problems by the names that the source's events have, each once."""
    if not isinstance(outcome, Refused):
        return outcome
    named: dict[str, str] = {}
    for field, message in outcome.problems:
        named.setdefault(source.mapping.get(field, field), message)
    return Refused(tuple(named.items()))


def with_id(spec: DetectorSpec, event: dict[str, Any], made_up: str) -> dict[str, Any]:
    """The event, with `made_up` for its id where it has none and its detector requires none."""
    name = spec.id_field
    if not (name and made_up) or event.get(name) is not None:
        return event
    # What the schema asks for is the sender's to give.
    return event if name in spec.schema.get("required", ()) else event | {name: made_up}


def event_for(source: Source, spec: DetectorSpec, event: dict[str, Any]) -> dict[str, Any]:
    """The event as its detector takes it, without personal data that the detector cannot hide, and
    without objects and lists that it does not read: the source's own schema has checked them."""
    known = spec.schema["properties"]
    return {
        own: event[theirs]
        for own, theirs in columns_of(source, spec, event).items()
        if own in known or not isinstance(event[theirs], dict | list)
    }


def columns_of(source: Source, spec: DetectorSpec, names: Collection[str]) -> dict[str, str]:
    """Field of the detector: field of the source's event, of those in `names`.

    Without those that the source calls personal and the detector does not hide.
    """
    return {
        own: theirs
        for own, theirs in fields_read(source.mapping, names).items()
        if _hidden(spec, own) or theirs not in source.pii_fields
    }


def problems_of(source: Source, event: object) -> list[tuple[str, str]]:
    """(field, message) of everything in which an event breaks the source's schema."""
    if not isinstance(event, Mapping):
        return [("", "an event is a JSON object")]
    found = dict.fromkeys(without_value(event), "must be a finite number")
    found |= dict.fromkeys(with_nul(event), "must not hold the character U+0000")
    if found:  # The schema's arithmetic is not for them.
        return list(found.items())[:MOST_PROBLEMS]
    for error in _validator(orjson.dumps(source.schema)).iter_errors(event):
        path = [str(step) for step in error.absolute_path]
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            for name in missing:
                found.setdefault(".".join([*path, str(name)]), "is required")
        else:
            # jsonschema's own words repeat the value, which may be personal data.
            found.setdefault(".".join(path), f"breaks the schema's '{error.validator}'")
        if len(found) >= MOST_PROBLEMS:
            break
    return list(found.items())


@lru_cache(maxsize=128)
def _validator(schema: bytes) -> "Draft202012Validator":
    from jsonschema import Draft202012Validator  # As in scoring.source_declaration.
    from jsonschema.validators import extend

    made = extend(Draft202012Validator, {"uniqueItems": _unique_items})
    return cast("Draft202012Validator", made(orjson.loads(schema)))


def _unique_items(validator: Any, wanted: Any, value: Any, schema: Any) -> Iterator[Exception]:
    """No two entries of a list are equal, told by one look at each: jsonschema compares each with
    all others, for hours where somebody sends a list that fills a request."""
    from jsonschema import ValidationError

    if wanted and validator.is_type(value, "array"):
        different = {json.dumps(_told_apart(entry), sort_keys=True) for entry in value}
        if len(different) < len(value):
            yield ValidationError("has entries that are equal")


def _told_apart(value: Any) -> Any:
    """The value so that equal ones are written alike: 1.0 is 1."""
    if isinstance(value, dict):
        return {name: _told_apart(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_told_apart(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
