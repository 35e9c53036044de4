"""Feature pipelines from YAML: with the source whose events they read they make detectors."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.db import transaction

from accounts.services import record_audit
from scoring.core.reader import SpecError
from scoring.declaration_text import check_config
from scoring.declarations import load_detector, read_file, save_detector
from scoring.models import Detector
from scoring.pipeline_declaration import (
    compose,
    detector_slug,
    is_pipeline,
    pipeline_problems,
    told_of_source,
)
from scoring.selectors import detector_made_from, detectors_of_pipeline
from scoring.source_models import Source
from scoring.yaml_lines import read_yaml, with_lines

MOST_NAMED = 5
A_SOURCE = "makes it a source of events: load it with manage.py load_source"


def load_declaration(
    path: Path, *, source: str = "", keep_edits: bool = False
) -> tuple[Detector, str]:
    """Make or update the detector of a file, be it one whole or a feature pipeline.

    `source`: whose events a pipeline reads, where the file does not say. See `save_detector`.
    Raises SpecError, naming lines.
    """
    raw, lines = read_yaml(read_file(path))
    try:
        if isinstance(raw, Mapping) and "source_type" in raw:
            raise SpecError([("source_type", A_SOURCE)])
        if is_pipeline(raw):
            return load_pipeline(raw, source=source)
    except SpecError as error:
        raise SpecError(with_lines(error.problems, lines)) from error
    if source:
        raise SpecError([("source", "is for a feature pipeline, and this is a whole detector")])
    return load_detector(path, keep_edits=keep_edits)


@transaction.atomic
def load_pipeline(raw: Mapping[str, Any], *, source: str = "") -> tuple[Detector, str]:
    """Make or update the detector of a pipeline and its source, and join the source to it.

    Raises SpecError, with the places of the pipeline.
    """
    if problems := list(pipeline_problems(raw)):
        raise SpecError(problems)
    chosen = _source_of(raw, source or raw.get("source") or "")
    known = _own_detector(chosen)
    config = compose(raw, chosen, None if known is None else known.config)
    try:
        check_config(config)
    except SpecError as error:
        raise SpecError(told_of_source(error.problems, chosen)) from error
    detector, what = save_detector(config)
    if chosen.detector_id != detector.pk:
        chosen.detector = detector
        chosen.save(update_fields=["detector", "updated_at"])
        record_audit(actor=None, action="source.changed", subject=chosen)
    return detector, what


def roles_told(detector: Detector) -> str:
    """What was made of the fields of a source's events; empty for a detector declared whole."""
    event = detector.config.get("event", {})
    if not event.get("source"):
        return ""
    told = [f"{role} {event[role]}" for role in ("id", "amount", "entity") if event.get(role)]
    told.insert(1, f"time {event['time']}" if event.get("time") else "time of arrival")
    return f", of the events of source {event['source']}: {', '.join(told)}"


def _source_of(raw: Mapping[str, Any], slug: str) -> Source:
    """The source that is named, else the only one that can be meant: that of the detector which the
    pipeline of this name made before, or one without a detector. Raises SpecError."""
    sources = Source.objects.select_related("detector")
    if slug:
        found = sources.filter(slug=slug).first()
        if found is None:
            raise SpecError([("source", f"there is no source '{slug}': load it first, with "
                              "manage.py load_source FILE")])  # fmt: skip
        return found
    free = list(sources.filter(detector=None)[:MOST_NAMED])
    own = list(sources.filter(detector__in=detectors_of_pipeline(str(raw["name"]))))
    meant = [*own, *free]
    if not meant:
        said = "no source is without a detector: load one with manage.py load_source FILE"
        raise SpecError([("source", f"{said}, or name the pipeline's: source: SLUG")])
    if len(meant) > 1:
        named = " or ".join(f"source: {row.slug}" for row in meant[:MOST_NAMED])
        raise SpecError([("source", f"several could be meant: say whose events it reads, {named}")])
    return meant[0]


def _own_detector(source: Source) -> Detector | None:
    """The detector that an earlier loading made of the source's events.

    Raises SpecError where the source, or the slug, is that of a detector with features of its own.
    """
    made = detector_made_from(source.slug)
    if source.detector is not None and source.detector != made:
        said = f"'{source.slug}' brings events of detector '{source.detector.slug}', which declares"
        raise SpecError([("source", f"{said} its own features: change them there")])
    slug = detector_slug(source)
    if made is None and Detector.objects.filter(slug=slug).exists():
        said = f"there is a detector '{slug}' with features of its own: give source"
        raise SpecError([("source", f"{said} '{source.slug}' another slug, or detector: {slug}")])
    return made
