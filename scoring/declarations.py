"""Detectors from YAML: read a file, check it, make or update the row, deploy its rules."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.db import transaction

from scoring import deployment
from scoring.core.bundle import compile_rules
from scoring.core.reader import SpecError
from scoring.core.spec import DetectorSpec, parse_spec
from scoring.core.vocabulary import RuleError
from scoring.feature_store.database import lock_windows
from scoring.models import Deployment, Detector
from scoring.policies import adopt_declared_rules, publish
from scoring.rebuilding import rebuild_if_changed
from scoring.yaml_lines import read_yaml, with_lines

SHIPPED = Path(__file__).resolve().parent / "detectors"


def read_document(path: Path) -> tuple[Any, dict[str, int]]:
    """(value, line by place) of a YAML file. Raises SpecError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError([(path.name, f"cannot be read: {error}")]) from error
    return read_yaml(text)


def read_config(path: Path) -> dict[str, Any]:
    """The declaration in a YAML file, checked. Raises SpecError: all problems, with their lines."""
    config, lines = read_document(path)
    try:
        check_config(config)
    except SpecError as error:
        raise SpecError(with_lines(error.problems, lines)) from error
    found: dict[str, Any] = config
    return found


def check_config(config: Mapping[str, Any]) -> DetectorSpec:
    """The parsed declaration; its rules compile. Raises SpecError."""
    spec = parse_spec(config)
    check_rules(spec)
    return spec


def check_rules(spec: DetectorSpec) -> None:
    """Compile every rule. Raises SpecError naming each that cannot be."""
    problems = []
    for i, rule in enumerate(spec.rules):
        try:
            compile_rules(replace(spec, rules=(rule,)))
        except RuleError as error:
            problems.append((f"rules[{i}].{error.part}", str(error)))
    if problems:
        raise SpecError(problems)


def digest_of(config: Mapping[str, Any]) -> str:
    """SHA-256 of a declaration, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def load_detector(path: Path, *, keep_edits: bool = False) -> tuple[Detector, str]:
    """Make or update the detector of a file; see `save_detector`. Raises SpecError."""
    return save_detector(read_config(path), keep_edits=keep_edits)


@transaction.atomic
def save_detector(config: dict[str, Any], *, keep_edits: bool = False) -> tuple[Detector, str]:
    """Make or update the detector of a checked declaration; (detector, `new`, `updated` or `kept`).

    `keep_edits` leaves a detector alone that was edited here since it was last read from a file.

    A detector without a model gets its declaration deployed as rules; a champion goes on serving
    the declaration that it was trained with until a newer one is promoted.
    """
    spec = parse_spec(config)
    known = Detector.objects.filter(slug=spec.slug).first()
    if known is not None and keep_edits and digest_of(known.config) != known.loaded_digest:
        if not known.policy_digest:
            govern(known)
        return known, "kept"
    if known is not None and known.config != config:
        lock_windows(known.pk)  # They may have to be learnt anew, below.
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
    govern(detector)
    return detector, "new" if created else "updated"


def govern(detector: Detector) -> None:
    """Let the policy in force follow the declaration."""
    adopt_declared_rules(detector)
    publish(detector)


def deploy_rules(detector: Detector) -> None:
    """Deploy the declaration; if it tracks other windows than before, learn them anew."""
    before = deployment.serving_of(detector).bundle
    deployment.install_rules_only(detector)
    rebuild_if_changed(detector, before)
