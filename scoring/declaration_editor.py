"""The editor of a declaration: checked while it is written, previewed, saved; the same for whatever
is declared as YAML."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from scoring.declaration_changes import Preview
from scoring.declaration_text import MOST_TEXT
from scoring.yaml_lines import Mistake

MOST_MISTAKES = 50
EDITOR = "scoring/declaration_editor.html"


class Mistaken(ValueError):
    """A text that cannot be saved, and why."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(f"line {one.line}: {one.text}" for one in mistakes))


class Stale(ValueError):
    """What is edited was changed since its author looked at it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is edited. `text` writes it as it stands, `base` is its digest, empty for a new one.

    `read` makes a declaration of a text or raises Mistaken. `preview` says what saving one would
    do. `save(declared, base)` does it and returns what to tell and where to go; it raises Mistaken
    and Stale.
    """

    text: Callable[[], str]
    base: str
    read: Callable[[str], Any]
    preview: Callable[[Any], Preview]
    save: Callable[[Any, str], tuple[str, str]]


@dataclass(slots=True)
class Outcome:
    """What came of a text. `stale`: another declaration stands than the one it started from;
    `tried`: it was to be saved."""

    mistakes: Sequence[Mistake] = ()
    preview: Preview | None = None
    stale: bool = False
    tried: bool = False
    saved: tuple[str, str] | None = None

    @property
    def shown(self) -> Sequence[Mistake]:
        """The first mistakes."""
        return self.mistakes[:MOST_MISTAKES]

    @property
    def more(self) -> int:
        """How many mistakes are not shown."""
        return len(self.mistakes) - len(self.shown)


class DeclarationForm(forms.Form):
    """The text, and the digest of the declaration that it started from."""

    text = forms.CharField(
        max_length=MOST_TEXT, strip=False, error_messages={"required": "Write a declaration."}
    )
    base = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def clean_text(self) -> str:
        text: str = self.cleaned_data["text"]
        return text.replace("\r\n", "\n")


def edit(
    request: HttpRequest, subject: Subject, *, template: str, context: dict[str, Any]
) -> HttpResponse:
    """The page of an editor. POST with `act`: `check` and `preview` change nothing, `rebase` is a
    preview that starts from what stands now, `save` saves. Nothing that was typed is lost."""
    if request.method != "POST":
        form = DeclarationForm(initial={"text": subject.text(), "base": subject.base})
        return render(request, template, {**context, "form": form})
    given = request.POST.copy()
    act = given.get("act", "preview")
    if act == "rebase":
        given["base"] = subject.base
    form = DeclarationForm(given)
    outcome = outcome_of(subject, form, act)
    if outcome.saved is not None:
        said, address = outcome.saved
        messages.success(request, said)
        return redirect(address)
    found = {**context, "form": form, "outcome": outcome}
    if request.htmx:  # type: ignore[attr-defined]
        return render(request, f"{EDITOR}#outcome", found)
    return render(
        request, template, found, status=422 if outcome.mistakes or outcome.stale else 200
    )


def outcome_of(subject: Subject, form: DeclarationForm, act: str) -> Outcome:
    """What is wrong with the text, else what it would do, or that it was saved."""
    outcome = Outcome(tried=act == "save")
    if not form.is_valid():
        errors = [str(error) for errors in form.errors.values() for error in errors]
        outcome.mistakes = [Mistake(1, error) for error in errors]
        return outcome
    base = form.cleaned_data["base"]
    outcome.stale = base != subject.base
    try:
        declared = subject.read(form.cleaned_data["text"])
        if act == "save":
            outcome.saved = subject.save(declared, base)
        elif act != "check":
            outcome.preview = subject.preview(declared)
    except Mistaken as refused:
        outcome.mistakes = refused.mistakes
    except Stale:
        outcome.stale = True
    return outcome
