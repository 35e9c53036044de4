"""Pages on which sources are declared."""

from dataclasses import replace
from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_required, permission_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from accounts.models import User
from scoring.declaration_changes import REWRITTEN, Preview, changed_lines, diff_lines
from scoring.declaration_editor import Mistaken, Stale, Subject, edit
from scoring.declaration_text import base_of
from scoring.rule_views import signed_in
from scoring.source_declaration import SKETCH, Declared, SourceError, read_yaml
from scoring.source_models import Source
from scoring.source_tallies import activities_of
from scoring.source_texts import declaration_of, text_of
from scoring.sources import (
    StaleSource,
    detector_for,
    effects_of,
    how_it_comes,
    save_source,
)

TEMPLATE = "scoring/declaration.html"
MAY_DECLARE = "scoring.add_source"
PAGE_SIZE = 100
ABOUT = {
    "word": "source",
    "parts": (
        ("slug", "Part of its address; never changes"),
        ("source_type", "csv, parquet, kafka, mqtt, webhook or rest"),
        ("detector", "Whose events they are"),
        (
            "config",
            "kafka: topic, bootstrap_servers; mqtt: topic, host; csv and parquet: path. No secrets",
        ),
        ("schema", "JSON Schema of one event"),
        ("mapping", "Field of the detector: field of the event"),
        ("pii_fields", "Fields of the event that are personal data"),
    ),
    "described_in": "docs/api.md describes each.",
}
"""What a page says beside the editor."""


@login_required
@permission_required("scoring.view_source", raise_exception=True)
@require_safe
def source_list(request: HttpRequest) -> HttpResponse:
    """Every source, by name, with what brings its events."""
    sources = Source.objects.select_related("detector").order_by("name", "pk")
    page = Paginator(sources, PAGE_SIZE).get_page(request.GET.get("page"))
    came = activities_of(page)
    rows = [(source, how_it_comes(source), came[source.pk]) for source in page]
    context = {"title": "Sources", "rows": rows, "page_obj": page}
    return render(request, "scoring/source_list.html", context)


@login_required
@permission_required(MAY_DECLARE, raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def source_new(request: HttpRequest) -> HttpResponse:
    """Declare a source (declaration_editor.edit)."""
    subject = Subject(
        text=lambda: SKETCH,
        base="",
        read=partial(_read, None),
        preview=partial(_preview, None, ""),
        save=partial(_save, signed_in(request)),
    )
    context = {**_context("Declare a source"), "may_edit": True}
    return edit(request, subject, template=TEMPLATE, context=context)


@login_required
@permission_required("scoring.view_source", raise_exception=True)
@require_http_methods(["GET", "HEAD", "POST"])
def source_detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One source: to read, or to edit (declaration_editor.edit)."""
    sources = Source.objects.select_related("detector", "declared_text")
    source = get_object_or_404(sources, slug=slug)
    may_edit = request.user.has_perm(MAY_DECLARE)
    if request.method == "POST" and not may_edit:
        raise PermissionDenied
    stands = text_of(source)
    subject = Subject(
        text=lambda: stands,
        base=base_of(stands),
        read=partial(_read, source),
        preview=partial(_preview, source, stands),
        save=partial(_save, signed_in(request)),
    )
    context = {
        **_context(source.name),
        "slug": source.slug,
        "feeds": source.detector,
        "how": how_it_comes(source),
        "activity": activities_of([source])[source.pk],
        "may_edit": may_edit,
    }
    return edit(request, subject, template=TEMPLATE, context=context)


def _context(title: str) -> dict[str, Any]:
    back = reverse("source_list")
    return {**ABOUT, "title": title, "crumbs": [("Sources", back)], "back": back}


def _read(source: Source | None, text: str) -> Declared:
    """The source in a text that may be saved in place of `source`. Raises Mistaken."""
    try:
        declared = read_yaml(text)
        if problem := _problem_of_slug(source, declared.slug):
            raise SourceError([("slug", problem)], declared.lines)
        detector_for(declared)
    except SourceError as error:
        raise Mistaken(error.mistakes()) from error
    return declared


def _problem_of_slug(source: Source | None, slug: str) -> str:
    if source is not None:
        return "" if slug == source.slug else f"stays '{source.slug}'; declare a new source instead"
    taken = Source.objects.filter(slug=slug).exists()
    return f"there is a source '{slug}' already" if taken else ""


def _preview(source: Source | None, stands: str, declared: Declared) -> Preview:
    before = declaration_of(source) if source else {}
    made = detector_for(declared)
    after = replace(declared, detector="" if made is None else made.slug).told()
    if before == after:
        lines = changed_lines(stands.splitlines(), declared.text.splitlines())
        return Preview(lines, [REWRITTEN] if lines else ())
    return Preview(diff_lines(before, after), effects_of(source, declared))


def _save(author: User, declared: Declared, base: str) -> tuple[str, str]:
    try:
        source, created = save_source(declared, actor=author, base=base)
    except StaleSource as error:
        raise Stale from error
    except SourceError as error:
        raise Mistaken(error.mistakes()) from error
    said = "is declared" if created else "is saved"
    return f"{source.name} {said}.", source.get_absolute_url()
