"""A source as it is declared, and as its author wrote it: with comments, in an order of its own."""

from typing import Any

from scoring.declaration_text import base_of
from scoring.policy_store import digest_of
from scoring.selectors import detector_made_from
from scoring.source_declaration import Declared
from scoring.source_models import Source, SourceText
from scoring.yaml_writing import write_yaml


def declaration_of(source: Source) -> dict[str, Any]:
    """A source as it is declared."""
    return Declared(
        slug=source.slug,
        name=source.name,
        source_type=source.source_type,
        config=source.config,
        schema=source.schema,
        pii_fields=source.pii_fields,
        detector="" if source.detector is None else source.detector.slug,
        mapping=source.mapping,
    ).told()


def text_of(source: Source) -> str:
    """The declaration as its author wrote it; written anew where something else changed it."""
    written: SourceText | None = getattr(source, "declared_text", None)
    if written is None or written.digest != _digest_of(source):
        return write_yaml(declaration_of(source))
    return written.text


def _digest_of(source: Source) -> str:
    """Of what a text says: the detector that a pipeline made for the source goes without saying."""
    told = declaration_of(source)
    if source.detector is not None and source.detector == detector_made_from(source.slug):
        del told["detector"]
    return digest_of(told)


def source_base(source: Source | None) -> str:
    """By what it is known that the text which somebody edits still stands; empty for a new one."""
    return "" if source is None else base_of(text_of(source))


def keep_text(source: Source, text: str) -> None:
    """Keep what the author of the declaration wrote, which it is just now."""
    if not text:
        return
    source.refresh_from_db(fields=["config", "schema"])  # As the database keeps their numbers.
    if text != text_of(source):
        SourceText.objects.update_or_create(
            source=source, defaults={"text": text, "digest": _digest_of(source)}
        )
