"""How values are kept in Redis: as JSON, so that what is found there is data and nothing runs.

Django's own serializer keeps pickles: whoever can write to Redis would run code in every process
that reads them.
"""

import json
from typing import Any


class JsonSerializer:
    """What Django's Redis cache asks of a serializer. Whole numbers stay numbers, for `incr`."""

    def dumps(self, value: Any) -> int | bytes:
        """Raises TypeError for what is no JSON."""
        return value if type(value) is int else json.dumps(value, allow_nan=False).encode()

    def loads(self, kept: bytes) -> Any:
        """Raises ValueError for what is no JSON, a pickle among it."""
        return json.loads(kept)
