"""`manage.py load_source FILE ...`: declare sources of events from YAML files."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from scoring.source_declaration import SourceError, read_yaml
from scoring.sources import how_it_comes, save_source


class Command(BaseCommand):
    help = (
        "Make or update sources of events from YAML files (docs/api.md, Sources)."
        " Example: manage.py load_source shop_payments.yaml"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        for path in options["files"]:
            try:
                declared = read_yaml(path.read_text(encoding="utf-8"))
                source, created = save_source(declared, actor=None)
            except SourceError as error:
                lines = "\n".join(f"  {told}" for told in error.told())
                raise CommandError(f"{path} was not loaded:\n{lines}") from error
            except UnicodeDecodeError as error:
                raise CommandError(f"{path} is not UTF-8 text.") from error
            except OSError as error:
                raise CommandError(f"{path}: {error.strerror}") from error
            word = "new" if created else "updated"
            self.stdout.write(f"{word:<7} {source.slug}. {how_it_comes(source)}")
