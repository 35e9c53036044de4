"""What the query string of an API's address asks for. Raises ValidationProblem."""

from collections.abc import Collection
from datetime import datetime

from rest_framework.request import Request

from accounts.api_errors import ValidationProblem
from accounts.typed import is_whole, parse_flag, parse_moment


def whole(
    request: Request, name: str, default: int, *, least: int, most: int, beyond: str = ""
) -> int:
    """A whole number from `least` to `most`. `beyond`: what to ask for where that is too little."""
    text = request.query_params.get(name, str(default))
    if not (is_whole(text, digits=9) and least <= int(text) <= most):
        message = f"must be a whole number from {least} to {most}"
        message += f": {beyond}" if beyond else ""
        raise ValidationProblem([{"field": name, "message": message}])
    return int(text)


def moment(request: Request, name: str) -> datetime | None:
    """A time with its offset, in UTC; None where nothing is asked."""
    text = request.query_params.get(name, "")
    found = parse_moment(text)
    if text and found is None:
        message = "must be a time with its offset such as 2026-11-21T08:30:00Z (+ is written %2B)"
        raise ValidationProblem([{"field": name, "message": message}])
    return found


def truth(request: Request, name: str) -> bool:
    """Yes or no, in the words that clients write it in; no where nothing is asked."""
    found = parse_flag(request.query_params.get(name, "") or "false")
    if found is None:
        raise ValidationProblem([{"field": name, "message": "is true or false"}])
    return found


def one_of(request: Request, name: str, known: Collection[str]) -> str:
    """One of the words in `known`; empty where nothing is asked."""
    text: str = request.query_params.get(name, "")
    if text and text not in known:
        message = f"is one of {', '.join(known)}"
        raise ValidationProblem([{"field": name, "message": message}])
    return text
