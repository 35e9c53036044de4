"""Declarations of detectors: make or update the row, deploy its rules; files, pages and commands do
it here."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from accounts.models import User
from accounts.services import record_audit
from scoring import deployment
from scoring.core.reader import SpecError
from scoring.core.spec import DetectorSpec, ScreeningSpec, parse_spec
from scoring.declaration_text import base_of, read_text
from scoring.feature_store.database import lock_windows
from scoring.models import DeclaredText, Deployment, Detector
from scoring.policies import (
    DeclaredMove,
    adopt_declared_rules,
    audit_rate_of,
    declared_moves,
    lock,
    publish,
    screening_of,
)
from scoring.rebuilding import rebuild_if_changed, serving_before
from scoring.watchlist_files import TITLES
from scoring.yaml_writing import write_yaml

SHIPPED = Path(__file__).resolve().parent / "detectors"
FOR_TWO = "takes a second person: ask for it"
REWRITTEN = "order or comments"
"""What the audit trail says of a declaration that says the same in another way."""


class StaleDeclaration(ValueError):
    """The declaration was changed since its author looked at it."""


def read_file(path: Path) -> str:
    """The text of a file. Raises SpecError."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        said = f"is no UTF-8 text from byte {error.start + 1} on: save it as UTF-8"
        raise SpecError([(path.name, said)]) from error
    except OSError as error:
        raise SpecError([(path.name, f"cannot be read: {error}")]) from error


def read_config(path: Path) -> dict[str, Any]:
    """The declaration in a YAML file, checked. Raises SpecError: all problems, with their lines."""
    return read_text(read_file(path))[0]


def text_of(detector: Detector) -> str:
    """The declaration as its author wrote it; written anew where something else changed it."""
    stands = digest_of(detector.config)
    written = DeclaredText.objects.filter(detector=detector, digest=stands).first()
    return write_yaml(detector.config) if written is None else written.text


def digest_of_words(text: str) -> str:
    """Of a text as it was written, white space apart: the one thing in it that says nothing."""
    return base_of(" ".join(text.split()))


def digest_of(config: Mapping[str, Any]) -> str:
    """SHA-256 of a declaration, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def load_detector(path: Path, *, keep_edits: bool = False) -> tuple[Detector, str]:
    """Make or update the detector of a file; see `save_detector`. Raises SpecError."""
    text = read_file(path)
    return save_detector(read_text(text)[0], keep_edits=keep_edits, text=text)


@transaction.atomic
def save_detector(
    config: Mapping[str, Any], *, keep_edits: bool = False, text: str = ""
) -> tuple[Detector, str]:
    """Make or update the detector of a checked declaration; (detector, `new`, `updated` or `kept`).

    `keep_edits` leaves a detector alone that was edited here since it was last read from a file,
    be it in its order or comments alone, but not in white space alone. `text`: as its author
    wrote it.
    """
    digest = digest_of(config)
    known, created = _row_of(config, loaded_digest=digest)
    if created:
        _begin(known, text, actor=None)
        _note_loaded(known, text)
        return known, "new"
    if keep_edits and _is_edited(known):
        if not known.policy_digest:
            govern(known)
        return known, "kept"
    detector = change_declaration(known, config, actor=None, text=text)
    detector.loaded_digest = digest
    detector.save(update_fields=["loaded_digest"])
    _note_loaded(detector, text)
    return detector, "updated"


@transaction.atomic
def add_detector(config: Mapping[str, Any], *, actor: User, text: str = "") -> Detector:
    """A detector of a checked declaration, served by its rules. Audited.

    `text`: as its author wrote it. Raises SpecError when there is one of that slug.
    """
    detector, created = _row_of(config)
    if not created:
        raise SpecError(problems_of_change(None, config))
    _begin(detector, text, actor=actor)
    return detector


@transaction.atomic
def change_declaration(
    detector: Detector,
    config: Mapping[str, Any],
    *,
    actor: User | None,
    base: str | None = None,
    text: str = "",
) -> Detector:
    """Let a checked declaration count for the detector; the row as it is then. Audited.

    `base` is that of the text that a person looked at (`base_of`); None for a file, which is
    right whatever stands. `text`: as its author wrote it.
    A detector without a model gets its declaration deployed as rules; a champion goes on serving
    the declaration that it was trained with until a newer one is promoted.
    Raises StaleDeclaration, and SpecError for what a person may not change.
    """
    if base is not None or detector.config != config:
        lock_windows(detector.pk)  # They may have to be learnt anew, below.
    row = lock(detector.pk)
    before, edited = row.config, _is_edited(row)
    if base is not None:
        if base_of(text_of(row)) != base:
            raise StaleDeclaration(row.slug)
        if problems := problems_of_change(row, config):
            raise SpecError(problems)
    for name, value in _columns(config).items():
        setattr(row, name, value)
    row.save(update_fields=[*_columns(config), "updated_at"])
    rewritten = _keep_text(row, text)
    _put_into_force(row, actor=actor)
    if before != config:
        _record("detector.changed", row, before, actor)
    elif rewritten and (edited or actor is not None):
        _record("detector.changed", row, before, actor, rewritten=REWRITTEN)
    return row


def problems_of_change(
    detector: Detector | None, config: Mapping[str, Any]
) -> list[tuple[str, str]]:
    """(place, message) of what a person may not declare for this detector; None: for a new one."""
    slug = config["slug"]
    if detector is None:
        taken = Detector.objects.filter(slug=slug).exists()
        return [("slug", f"there is a detector '{slug}' already")] if taken else []
    found = []
    if slug != detector.slug:
        found.append(("slug", f"stays '{detector.slug}'; declare a new detector instead"))
    if settings.FOUR_EYES:
        found += _for_two(detector, config)
    return found


def _for_two(detector: Detector, config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What of a declaration would let something else decide than what stands, which is asked for on
    pages. What was changed there no longer hangs on the declaration, which may follow it."""
    changed = {
        key
        for key in ("rules", "audit_rate", "screening")
        if config.get(key) != detector.config.get(key)
    }
    spec, found = parse_spec(config), []
    if "rules" in changed:
        codes = [rule.code for rule in spec.rules]
        found += [_asked_for(move, codes) for move in declared_moves(detector, spec)]
    if "audit_rate" in changed and _comes_to_other(detector, spec, audit_rate_of):
        found.append(("audit_rate", f"{FOR_TWO} on the page of its policy"))
    if "screening" in changed and _comes_to_other(detector, spec, _screens):
        said = "scores and countries on the page of its policy; a file (load_detectors) changes"
        found.append(("screening", f"{FOR_TWO} {said} fields and lists"))
    return found


def _screens(detector: Detector, spec: DetectorSpec) -> ScreeningSpec | None:
    """What is screened, lists that there are none of left out: nothing is screened by them."""
    found = screening_of(detector, spec)
    if found is None:
        return None
    return replace(found, lists=tuple(name for name in found.lists if name in TITLES))


def _comes_to_other(
    detector: Detector, spec: DetectorSpec, of: Callable[[Detector, DetectorSpec], object]
) -> bool:
    try:
        return of(detector, detector.spec()) != of(detector, spec)
    except SpecError:  # What stands cannot be read.
        return True


def _asked_for(move: DeclaredMove, codes: Sequence[str]) -> tuple[str, str]:
    """(place, message) of a rule that would move."""
    if move.declared is None:
        return "rules", f"{move.code} would retire: this {FOR_TWO} on its page first"
    place = f"rules[{codes.index(move.code)}]"
    if move.rule is None:
        return place, f"{move.code} would go live: this {FOR_TWO} on the page of its rules first"
    return place, f"{move.code} would change: this {FOR_TWO} on its page first"


def _columns(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a row keeps of a declaration."""
    spec = parse_spec(config)
    return {"name": spec.name, "description": spec.description, "config": config}


def _row_of(config: Mapping[str, Any], **more: str) -> tuple[Detector, bool]:
    """(the row of the declaration's slug, whether it was made just now, of this declaration)."""
    return Detector.objects.get_or_create(slug=config["slug"], defaults=_columns(config) | more)


def _keep_text(detector: Detector, text: str) -> bool:
    """Keep what the author of the declaration wrote; whether it has other words than before."""
    if not text:
        return False
    detector.refresh_from_db(fields=["config"])  # PostgreSQL keeps keys in an order of its own.
    stands = text_of(detector)
    if text != stands:
        DeclaredText.objects.update_or_create(
            detector=detector, defaults={"text": text, "digest": digest_of(detector.config)}
        )
    return digest_of_words(text) != digest_of_words(stands)


def _note_loaded(detector: Detector, text: str) -> None:
    """Remember what a file said, to tell it from what is written here later."""
    if text:
        DeclaredText.objects.filter(detector=detector).update(loaded_digest=digest_of_words(text))


def _is_edited(detector: Detector) -> bool:
    """Whether a person declared it, or wrote it otherwise, since it was last read from a file."""
    stands = digest_of(detector.config)
    if stands != detector.loaded_digest:
        return True
    written = DeclaredText.objects.filter(detector=detector, digest=stands).first()
    return written is not None and digest_of_words(written.text) != written.loaded_digest


def _begin(detector: Detector, text: str, *, actor: User | None) -> None:
    _keep_text(detector, text)
    _put_into_force(detector, actor=actor)
    _record("detector.added", detector, {}, actor)


def _put_into_force(detector: Detector, *, actor: User | None) -> None:
    champion = Deployment.objects.filter(detector=detector, slot=Deployment.Slot.CHAMPION).first()
    if champion is None or champion.version == deployment.RULES_ONLY:
        deploy_rules(detector)
    govern(detector, author=actor)


def _record(
    action: str,
    detector: Detector,
    before: Mapping[str, Any],
    actor: User | None,
    **more: str,
) -> None:
    """In the audit trail: which sections differ, and the digests of both."""
    after = detector.config
    detail = {
        "digest": digest_of(after),
        "previous": digest_of(before) if before else "",
        "sections": [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)],
        **more,
    }
    record_audit(actor=actor, action=action, subject=detector, detail=detail)


def govern(detector: Detector, *, author: User | None = None) -> None:
    """Let the policy in force follow the declaration."""
    adopt_declared_rules(detector)
    publish(detector, author=author)


def deploy_rules(detector: Detector) -> None:
    """Deploy the declaration; if it tracks other windows than before, learn them anew."""
    before = serving_before(detector)
    deployment.install_rules_only(detector)
    rebuild_if_changed(detector, before)
