"""Which version this is."""

import re
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def newest_version(changelog: Path) -> str:
    """The newest `## X.Y.Z` heading of the changelog, so that the changelog cannot rot."""
    found = re.search(r"^## (\d+\.\d+\.\d+)", changelog.read_text(), re.M)
    if found is None:
        raise ImproperlyConfigured("CHANGELOG.md has no '## X.Y.Z' heading.")
    return found[1]
