"""User names as they count: one person a name, in whatever letters it is written."""

import unicodedata
from typing import Final

LONGEST: Final = 150


def folded(username: str) -> str:
    """A name without its case and width, in any script: `ÄRGER` and `ärger` are one name.

    Unicode's compatibility caseless matching (The Unicode Standard, 3.13). Names are compared by
    this and never by the database: SQLite knows the capitals of ASCII alone.
    """
    plain = unicodedata.normalize("NFKC", username.replace("\0", "")).strip().casefold()
    return unicodedata.normalize("NFKC", plain)[:LONGEST]
