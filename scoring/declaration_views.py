"""Pages on which detectors are declared."""

from functools import partial
from typing import Any, NamedTuple

from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts.models import User
from scoring.core.bundle import BundleNotWritten
from scoring.core.reader import SpecError
from scoring.declaration_changes import Preview, preview_of
from scoring.declaration_editor import Mistaken, Stale, Subject, edit
from scoring.declaration_text import SKETCH, base_of, read_text
from scoring.declarations import (
    StaleDeclaration,
    add_detector,
    change_declaration,
    problems_of_change,
    text_of,
)
from scoring.models import Detector
from scoring.rule_views import crumbs, signed_in
from scoring.yaml_lines import mistakes_of, with_lines

TEMPLATE = "scoring/declaration.html"
MAY_DECLARE = "scoring.add_detector"
ABOUT = {
    "word": "detector",
    "parts": (
        ("slug", "Part of the API's address; never changes"),
        (
            "event",
            "Fields, which of them are id, time, amount and entity, and which are personal data;"
            " undeclared says whether others are kept, in clear, or dropped",
        ),
        ("features", "What the model is given, in steps"),
        ("rules", "Conditions that ask for a review, block or add weight"),
        ("screening", "Which fields are looked up in sanctions lists"),
        ("audit_rate", "Share of approved events that people look at"),
        ("costs", "What reviews, wrong blocks and losses cost"),
        ("training", "Learner, label delay, how often it trains"),
    ),
    "described_in": "docs/detectors.md describes each, with an example.",
}
"""What a page says beside the editor."""


@login_required
@permission_required(MAY_DECLARE, raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def detector_new(request: HttpRequest) -> HttpResponse:
    """Declare a detector (declaration_editor.edit)."""
    context = {
        **ABOUT,
        "title": "Declare a detector",
        "crumbs": [("Detectors", reverse("detector_list"))],
        "may_edit": True,
        "back": reverse("detector_list"),
    }
    subject = Subject(
        text=lambda: SKETCH,
        base="",
        read=partial(_read, None),
        preview=partial(_preview, None, ""),
        save=partial(_add, signed_in(request)),
    )
    return edit(request, subject, template=TEMPLATE, context=context)


@login_required
@permission_required("scoring.view_detector", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def detector_declaration(request: HttpRequest, slug: str) -> HttpResponse:
    """The declaration of a detector: to read, or to edit (declaration_editor.edit)."""
    detector = get_object_or_404(Detector, slug=slug)
    may_edit = request.user.has_perm(MAY_DECLARE)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    context = {
        **ABOUT,
        "title": "Declaration",
        "crumbs": crumbs(detector),
        "slug": detector.slug,
        "may_edit": may_edit,
        "back": detector.get_absolute_url(),
    }
    stands = text_of(detector)
    subject = Subject(
        text=lambda: stands,
        base=base_of(stands),
        read=partial(_read, detector),
        preview=partial(_preview, detector, stands),
        save=partial(_change, detector, signed_in(request)),
    )
    return edit(request, subject, template=TEMPLATE, context=context)


class Written(NamedTuple):
    """A declaration and the text that says it."""

    config: dict[str, Any]
    text: str


def _read(detector: Detector | None, text: str) -> Written:
    """The declaration in a text that may be saved for the detector. Raises Mistaken."""
    try:
        config, lines = read_text(text)
        if problems := problems_of_change(detector, config):
            raise SpecError(with_lines(problems, lines))
    except SpecError as error:
        raise Mistaken(mistakes_of(error.problems)) from error
    return Written(config, text)


def _preview(detector: Detector | None, before: str, written: Written) -> Preview:
    return preview_of(detector, written.config, before, written.text)


def _add(author: User, written: Written, base: str) -> tuple[str, str]:
    try:
        detector = add_detector(written.config, actor=author, text=written.text)
    except SpecError as error:  # Somebody was quicker.
        raise Mistaken(mistakes_of(error.problems)) from error
    except BundleNotWritten as error:
        raise Mistaken(mistakes_of([("", str(error))])) from error
    return f"{detector.name} is declared. Its rules judge events from now on.", _page(detector)


def _change(detector: Detector, author: User, written: Written, base: str) -> tuple[str, str]:
    try:
        changed = change_declaration(
            detector, written.config, actor=author, base=base, text=written.text
        )
    except StaleDeclaration as error:
        raise Stale from error
    except SpecError as error:
        raise Mistaken(mistakes_of(error.problems)) from error
    except BundleNotWritten as error:
        raise Mistaken(mistakes_of([("", str(error))])) from error
    return "The declaration is saved.", _page(changed)


def _page(detector: Detector) -> str:
    return detector.get_absolute_url()
