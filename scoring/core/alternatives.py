"""Which fields of an event could plausibly have been different, and what they could have been.

Numbers step through the quantiles that training saw, categories through its most frequent levels;
where nothing was trained, numbers step through shares and multiples of what they are. A number that
features read as a category or a place only (a merchant code) is a category: no value lies between
two of its levels. The values pass the event's own schema.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from scoring.core.bundle import Bundle
from scoring.core.features import category_code
from scoring.core.spec import DetectorSpec
from scoring.core.types import Event

FINE: Final = 41
MOST_LEVELS: Final = 12
SHARES: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.25, 1.5, 2.0, 3.0, 5.0)
NUMBERS: Final = ("number", "integer")
TIME_FORMATS: Final = ("date-time", "date", "time-of-day")
OF_CODES: Final = frozenset(("category", "distinct", "changes"))
"""Kinds that tell a field's values apart and ask for no more."""


@dataclass(frozen=True, slots=True)
class Options:
    """Other values of one field. `fine` serve a field alone, `coarse` fields that change together.

    `spread` is what training saw between the 10th and 90th percentile; `shares` how frequent a
    level is, by its value.
    """

    now: Any
    numeric: bool
    whole: bool
    fine: tuple[Any, ...]
    coarse: tuple[Any, ...]
    spread: float = 1.0
    shares: Mapping[Any, float] = field(default_factory=dict)

    def cost(self, value: Any) -> float:
        """How far `value` is from what it is now: above 1, plus distance or rarity."""
        if not self.numeric:
            return 2.0 - self.shares.get(value, 0.0)
        return 1.0 + math.log1p(abs(float(value) - float(self.now)) / self.spread)

    def snap(self, value: float) -> float | int:
        """A whole number where the field holds such."""
        return round(value) if self.whole else value


def fixed_fields(spec: DetectorSpec) -> frozenset[str]:
    """Fields that nobody could have chosen otherwise: who, when, what is personal, what is declared
    `immutable`."""
    fixed = {spec.id_field, spec.time_field, spec.elapsed_field, spec.currency_field}
    fixed |= set(spec.entity_fields)
    fields = spec.schema["properties"].items()
    fixed |= {name for name, rule in fields if rule.get("format") in TIME_FORMATS}
    if spec.screening is not None:
        screened = spec.screening
        fixed |= {screened.name_field, screened.country_field, screened.birth_date_field}
    return frozenset(fixed | spec.pii_fields | spec.immutable)


def free_fields(spec: DetectorSpec, reads: Collection[str]) -> tuple[str, ...]:
    """Fields whose value counts and is not fixed, in the order of the schema. `reads`: names that
    rules read."""
    used = {f.field for f in spec.features if f.kind != "calendar"} | set(reads)
    fixed = fixed_fields(spec)
    return tuple(name for name in spec.schema["properties"] if name in used and name not in fixed)


def is_code(spec: DetectorSpec, name: str) -> bool:
    """Whether features read the field as a category or a place only, whatever its type."""
    kinds = {f.kind for f in spec.features if f.field == name and f.kind != "calendar"}
    return bool(kinds) and kinds <= OF_CODES


def options_of(
    bundle: Bundle, event: Event, reads: Collection[str], fixed: Collection[str] = ()
) -> dict[str, Options]:
    """Other values of the free fields that the event has; those in `fixed` stay as they are."""
    found = {}
    for name in free_fields(bundle.spec, reads):
        now = event.fields.get(name)
        if name in fixed or now is None:
            continue
        options = _options(bundle, name, bundle.spec.schema["properties"][name], now)
        if options is not None and options.fine:
            found[name] = options
    return found


def _options(bundle: Bundle, name: str, rule: Mapping[str, Any], now: Any) -> Options | None:
    def valid(values: Sequence[Any]) -> tuple[Any, ...]:
        check = bundle.parser.checks[name]
        kept = [v for v in dict.fromkeys(values) if v != now and not check(v)]
        return tuple(kept)

    if rule["type"] == "boolean":
        return Options(now, False, False, (not now,), (not now,))
    if rule["type"] in NUMBERS and "enum" not in rule and not is_code(bundle.spec, name):
        return _numbers(bundle, name, rule["type"] == "integer", now, valid)
    shares = levels_of(bundle, name)
    known = set(shares) | set(rule.get("enum", ()))
    ranked = sorted(known, key=lambda v: (-shares.get(v, 0.0), str(v)))
    levels = valid([v for v in ranked if not _same(v, now)][:MOST_LEVELS])
    return Options(now, False, False, levels, levels, shares=shares)


def _same(a: object, b: object) -> bool:
    return category_code(str(a)) == category_code(str(b))


def _numbers(
    bundle: Bundle,
    name: str,
    whole: bool,
    now: float,
    valid: Callable[[Sequence[Any]], tuple[Any, ...]],
) -> Options:
    deciles = bundle.reference.get(name, {}).get("deciles")
    if deciles:
        places = np.linspace(0.0, len(deciles) - 1.0, FINE)
        fine = np.interp(places, np.arange(len(deciles)), deciles).tolist()
        coarse, spread = [float(d) for d in deciles], float(deciles[-2] - deciles[1])
    else:
        fine = [now * share for share in SHARES]
        coarse, spread = fine[::2], abs(float(now))
    if whole:
        fine, coarse = [round(v) for v in fine], [round(v) for v in coarse]
    return Options(now, True, whole, valid(fine), valid(coarse), spread=spread or 1.0)


def levels_of(bundle: Bundle, name: str) -> dict[Any, float]:
    """Levels of a category as events hold them, with their share of what training saw.

    Those that a name is known of, as the model's encoder has them; of a field that is no category
    none.
    """
    if bundle.predictor is None or name not in bundle.plan.names:
        return {}
    rule = bundle.spec.schema["properties"][name]
    written = (False, True) if rule["type"] == "boolean" else rule.get("enum", ())
    declared = {category_code(str(value)): value for value in written}
    reference = bundle.reference.get(name, {}).get("levels") or ()
    shares = {float(level["value"]): float(level["share"]) for level in reference}
    named = bundle.predictor.encoder.level_names.get(bundle.plan.names.index(name), {})
    found = {}
    for code, text in named.items():
        if not text or category_code(text) != code:
            continue
        value = declared[code] if code in declared else _as_declared(text, rule["type"])
        if value is not None:
            found[value] = shares.get(code, 0.0)
    return found


def _as_declared(text: str, kind: str) -> Any:
    """A level's text as a value of the schema's type; None where it is none of that type."""
    if kind == "string":
        return text
    for read in (int,) if kind == "integer" else (int, float):
        try:
            value = read(text)
        except ValueError:
            continue
        if _same(value, text):
            return value
    return None


def round_away(value: float, now: float, digits: int) -> float:
    """`value` to so many significant digits, rounded away from `now`."""
    if value == 0.0 or not math.isfinite(value):
        return value
    unit = 10.0 ** (math.floor(math.log10(abs(value))) - digits + 1)
    steps = value / unit
    return float(
        f"{(math.floor(steps + 1e-9) if value < now else math.ceil(steps - 1e-9)) * unit:.12g}"
    )
