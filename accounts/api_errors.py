"""What API views and the services under them raise; the roof turns each into a JSON problem."""

from collections.abc import Iterable, Mapping

from rest_framework import status
from rest_framework.exceptions import APIException


class ValidationProblem(APIException):
    """The body is well-formed JSON but wrong: 422 with one entry per offending field.

    `errors`: mappings with `field` (dotted path such as `data.amount` or `0.amount`) and `message`.
    Afterwards `self.errors` holds `{"loc": [..], "field": str, "message": str}` entries.
    """

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY
    default_detail = "Some fields are not valid."
    default_code = "invalid"

    def __init__(self, errors: Iterable[Mapping[str, object]], detail: str | None = None) -> None:
        super().__init__(detail)
        self.errors = [field_error(str(e["field"]), str(e["message"])) for e in errors]


class Conflict(APIException):
    """The request contradicts what is stored: 409."""

    status_code = status.HTTP_409_CONFLICT
    default_detail = "This contradicts what is stored."
    default_code = "conflict"


class PayloadTooLarge(APIException):
    """The body is over the size limit: 413."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "too_large"


class ServiceUnavailable(APIException):
    """Something that we need is gone for now: 503 with Retry-After (seconds)."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = "The service is unavailable for the moment. Try again shortly."
    default_code = "unavailable"

    def __init__(self, detail: str | None = None, *, retry_after: int = 5) -> None:
        super().__init__(detail)
        # Read by the exception handler, as DRF does for 429.
        self.wait = retry_after


def field_error(field: str, message: str) -> dict[str, object]:
    """One entry of a 422 answer."""
    loc = [_step(part) for part in field.split(".") if part]
    return {"loc": loc, "field": field, "message": message}


def _step(part: str) -> int | str:
    # Names come from clients: '²' is a digit that int() refuses, and no place has 20 digits.
    return int(part) if part.isascii() and part.isdigit() and len(part) < 10 else part
