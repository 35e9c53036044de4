"""What the query string of an API's address asks for. Raises ValidationProblem."""

from collections.abc import Collection

from rest_framework.request import Request

from accounts.api_errors import ValidationProblem
from accounts.typed import is_whole


def whole(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """A whole number from `least` to `most`."""
    text = request.query_params.get(name, str(default))
    if not (is_whole(text, digits=9) and least <= int(text) <= most):
        message = f"must be a whole number from {least} to {most}"
        raise ValidationProblem([{"field": name, "message": message}])
    return int(text)


def one_of(request: Request, name: str, known: Collection[str]) -> str:
    """One of the words in `known`; empty where nothing is asked."""
    text: str = request.query_params.get(name, "")
    if text and text not in known:
        message = f"is one of {', '.join(known)}"
        raise ValidationProblem([{"field": name, "message": message}])
    return text
