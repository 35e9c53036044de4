"""`manage.py export_bundle --detector X v12 [--output PATH] [--force]`: a version as one file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.typed import is_whole
from models_registry.bundle_files import ExchangeError
from models_registry.exporting import export_bundle, file_name
from models_registry.management.printing import file_problem
from models_registry.models import ModelVersion
from scoring.core.bundle import sha256


class Command(BaseCommand):
    help = (
        "Write a version as one file that import_bundle takes in on another platform. The"
        " declaration of its detector is not in it: load it there first."
        " Example: manage.py export_bundle v12 --detector payments --output /srv/bundles"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="v12")
        parser.add_argument("--detector", required=True, help="slug")
        parser.add_argument(
            "--output",
            default="",
            metavar="PATH",
            help="File or folder to write it to; in the current folder, named by detector, version "
            "and digest, unless given.",
        )
        parser.add_argument("--force", action="store_true", help="Write over a file that is there.")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = ModelVersion.objects.filter(detector__slug=options["detector"])
        number = options["version"].removeprefix("v")
        version = (
            rows.select_related("detector", "dataset").filter(number=int(number)).first()
            if is_whole(number, digits=9)
            else None
        )
        if version is None:
            raise CommandError(f"{options['detector']} has no version '{options['version']}'.")
        place = _place(options["output"], version)
        if place.exists() and not options["force"]:
            raise CommandError(f"{place} exists already. --force writes over it.")
        try:
            content = export_bundle(version, actor=None)
            _write(place, content)
        except ExchangeError as problem:
            raise CommandError(str(problem)) from problem
        except OSError as problem:
            raise CommandError(file_problem(problem)) from problem
        self.stdout.write(
            f"{version} in {place}, {len(content):,} bytes, SHA-256 {sha256(content)}"
        )


def _place(output: str, version: ModelVersion) -> Path:
    place = Path(output)
    if place.is_dir():  # An empty text is the current folder.
        return place / file_name(version)
    if output.endswith("/") or not place.parent.is_dir():
        folder = output if output.endswith("/") else place.parent
        raise CommandError(f"There is no folder {folder}")
    return place


def _write(place: Path, content: bytes) -> None:
    """All or nothing: a file that was there is lost only to a whole one. Raises OSError."""
    part = place.with_name(f".{place.name}.part")
    try:
        part.write_bytes(content)
        part.replace(place)
    finally:
        part.unlink(missing_ok=True)
