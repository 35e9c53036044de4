"""`manage.py export_bundle --detector X v12 [FILE]`: a version as one file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.typed import is_whole
from models_registry.bundle_files import ExchangeError
from models_registry.exchange import export_bundle, file_name
from models_registry.models import ModelVersion
from scoring.core.bundle import sha256


class Command(BaseCommand):
    help = "Write a version as one file that import_bundle takes in on another platform."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("version", help="v12")
        parser.add_argument("--detector", required=True)
        parser.add_argument("file", nargs="?", help="Named by version and digest unless given.")

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
        place = Path(options["file"] or file_name(version))
        if place.exists():
            raise CommandError(f"{place} exists already.")
        try:
            content = export_bundle(version, actor=None)
            place.write_bytes(content)
        except (ExchangeError, OSError) as problem:
            raise CommandError(str(problem)) from problem
        self.stdout.write(
            f"{version} in {place}, {len(content):,} bytes, SHA-256 {sha256(content)}"
        )
