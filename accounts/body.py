"""What the body of a request to an API says. Raises ValidationProblem."""

from collections.abc import Collection
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request

from accounts.api_errors import ValidationProblem, field_error


class Text(serializers.CharField):
    """Text, and no number that would be made one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Number(serializers.FloatField):
    """A number, and not true or false for 1 or 0."""

    def to_internal_value(self, data: Any) -> float:
        if isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


def valid(kind: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """What a body says. Raises the problem that names its wrong fields, those too that would be
    passed over, though somebody meant something by them."""
    # An empty list is no object with nothing in it: nobody may have meant to act by it.
    form = kind(data={} if request.data is None else request.data)
    if isinstance(request.data, dict):
        _refuse_unknown(request.data.keys(), list(form.fields))
    form.is_valid(raise_exception=True)
    # A field that may be left out may be null instead.
    return {
        name: form.fields[name].get_default() if value is None else value
        for name, value in form.validated_data.items()
    }


def text_in(request: Request, name: str, message: str) -> str | None:
    """The text under that name in the body, else in the address; None where neither has it.

    Raises ValidationProblem with `message` where it is none, or the body is no object, and where
    either says something else: a slip in the name must not act on what is meant without it.
    """
    body = {} if request.data is None else request.data
    found: Any = body.get(name) if isinstance(body, dict) else 0
    found = request.query_params.get(name) if found is None else found
    if found is not None and (not isinstance(found, str) or not found or "\0" in found):
        raise ValidationProblem([{"field": name, "message": message}])
    _refuse_unknown({*body, *request.query_params}, [name])
    return found


def _refuse_unknown(said: Collection[str], known: Collection[str]) -> None:
    unknown = sorted(set(said) - set(known))
    if unknown:
        are = "is" if len(known) == 1 else "are"
        message = f"is not known here: {', '.join(known)} {are}"
        raise ValidationProblem([field_error(name, message) for name in unknown])
