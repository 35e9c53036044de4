"""Detectors from YAML: read a file, check it, make or update the row, deploy its rules."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from django.db import transaction

from scoring import deployment
from scoring.core.bundle import compile_rules
from scoring.core.rules import RuleError
from scoring.core.spec import SpecError, parse_spec
from scoring.models import Deployment, Detector
from scoring.rebuilding import lock_windows, rebuild_if_changed

SHIPPED = Path(__file__).resolve().parent / "detectors"


def read_config(path: Path) -> dict[str, Any]:
    """The declaration in a YAML file, checked. Raises SpecError (with the line, for bad YAML)."""
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else path.name
        raise SpecError([(line, getattr(error, "problem", None) or "is not YAML")]) from error
    try:
        compile_rules(parse_spec(config))
    except RuleError as error:
        raise SpecError([("rules", str(error))]) from error
    found: dict[str, Any] = config
    return found


def digest_of(config: Mapping[str, Any]) -> str:
    """SHA-256 of a declaration, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


@transaction.atomic
def load_detector(path: Path, *, keep_edits: bool = False) -> tuple[Detector, str]:
    """Make or update the detector of a file; (detector, `new`, `updated` or `kept`).

    `keep_edits` leaves a detector alone that was edited here since it was last read from a file.
    Raises SpecError.

    A detector without a model gets its declaration deployed as rules; a champion goes on serving
    the declaration that it was trained with until a newer one is promoted.
    """
    config = read_config(path)
    spec = parse_spec(config)
    known = Detector.objects.filter(slug=spec.slug).first()
    if known is not None and keep_edits and digest_of(known.config) != known.loaded_digest:
        return known, "kept"
    if known is not None and known.config != config:
        lock_windows()  # They may have to be learnt anew, below.
    detector, created = Detector.objects.update_or_create(
        slug=spec.slug,
        defaults={
            "name": spec.name,
            "description": spec.description,
            "config": config,
            "loaded_digest": digest_of(config),
        },
    )
    champion = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION).first()
    if champion is None or champion.version == deployment.RULES_ONLY:
        deploy_rules(detector)
    return detector, "new" if created else "updated"


def deploy_rules(detector: Detector) -> None:
    """Deploy the declaration; if it tracks other windows than before, learn them anew."""
    before = deployment.serving_of(detector).bundle
    deployment.install_rules_only(detector)
    rebuild_if_changed(detector, before)
