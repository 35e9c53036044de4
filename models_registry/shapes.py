"""Shapes of JSON values from elsewhere: each takes a value and gives it back, or raises Misfit."""

from collections.abc import Callable, Mapping
from typing import Any, Final

MOST_NAMES: Final = 200
LONGEST: Final = 200
LARGEST: Final = 1e300
LARGEST_COUNT: Final = 2**31

Shape = Callable[[Any], Any]


class Misfit(ValueError):
    """The value has another shape; the message says which was asked for."""


def is_finite(value: Any) -> bool:
    """A number that every database and page takes: not 1e999, which JSON reads as infinite."""
    return type(value) in (int, float) and abs(value) < LARGEST


def is_number(value: Any) -> bool:
    """A number, or None: it could not be told."""
    return value is None or is_finite(value)


def number(value: Any) -> Any:
    """A number, or None."""
    return _checked(value, is_number(value), "a number")


def finite(value: Any) -> Any:
    """A number."""
    return _checked(value, is_finite(value), "a number")


def count(value: Any) -> Any:
    """A whole number, 0 or more."""
    return _checked(value, type(value) is int and 0 <= value < LARGEST_COUNT, "a count")


def flag(value: Any) -> Any:
    """True or false."""
    return _checked(value, isinstance(value, bool), "true or false")


def text(value: Any) -> Any:
    """A short text."""
    return _checked(value, isinstance(value, str) and len(value) <= LONGEST, "a short text")


def by_name(shape: Shape) -> Shape:
    """An object whose values all have the shape."""

    def read(value: Any) -> Any:
        _checked(value, isinstance(value, Mapping) and len(value) <= MOST_NAMES, "an object")
        return {text(name): shape(item) for name, item in value.items()}

    return read


def each(shape: Shape, *, most: int = MOST_NAMES) -> Shape:
    """A list of at most so many values, each of the shape."""

    def read(value: Any) -> Any:
        _checked(value, isinstance(value, list) and len(value) <= most, "a list")
        return [shape(item) for item in value]

    return read


def fields(needed: Mapping[str, Shape], **more: Shape) -> Shape:
    """An object with these fields, and `more` that it may have; what else it has is left out."""

    def read(value: Any) -> Any:
        there = isinstance(value, Mapping) and needed.keys() <= value.keys()
        _checked(value, there, f"an object with {', '.join(needed)}")
        wanted = {**needed, **more}
        return {name: shape(value[name]) for name, shape in wanted.items() if name in value}

    return read


def row(*shapes: Shape) -> Shape:
    """A list of just these, in order."""

    def read(value: Any) -> Any:
        _checked(value, isinstance(value, list) and len(value) == len(shapes), "a row of numbers")
        return [shape(item) for shape, item in zip(shapes, value, strict=True)]

    return read


def absent_or(shape: Shape) -> Shape:
    """None, an object without fields, or the shape."""
    return lambda value: value if value is None or value == {} else shape(value)


def _checked(value: Any, fits: bool, asked: str) -> Any:
    if not fits:
        raise Misfit(f"{str(value)[:40]!r} is not {asked}")
    return value
