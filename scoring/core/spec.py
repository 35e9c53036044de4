"""A detector as declared: parse its YAML (already loaded into a dict) into frozen dataclasses.

The form is described in docs/detectors.md. Every mistake is reported at once, each with the place
where it stands (`features.transformations[2].config.windows`), as `SpecError.problems`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from scoring.core.aggregates import RISKS
from scoring.core.countries import country_code
from scoring.core.event_section import DROP, check_event, read_elapsed
from scoring.core.feature_section import read_features
from scoring.core.guard_spec import GuardSpec, read_guard
from scoring.core.imbalance import NOTHING, ImbalanceSpec, read_imbalance
from scoring.core.reader import Reader, SpecError
from scoring.core.rule_spec import RuleSpec, read_rules
from scoring.core.shape import is_number, shape_problems
from scoring.core.transformations import FeatureSpec

SECTIONS = (
    *("slug", "name", "description", "event", "features", "rules", "costs", "training"),
    *("screening", "audit_rate"),
)
AUDIT_RATE = 0.005
"""Share of approved events that a human looks at, where the declaration does not say."""
REVIEW_FROM, BLOCK_FROM = 0.90, 0.97
SCREENING = frozenset(
    ("name", "country", "birth_date", "lists", "review", "block", "embargoed", "high_risk")
)
SLUG = re.compile(r"[a-z][a-z0-9_]{1,39}")
LEARNERS = (
    *("lightgbm", "xgboost", "random_forest", "voting_ensemble", "logistic_regression"),
    *("isolation_forest", "one_class_svm", "autoencoder", "ecod"),
)
"""Of models_registry.core.learners, by name."""
MOST_NAME = 100
"""Characters of a detector's name, which is stored beside the declaration."""


@dataclass(frozen=True, slots=True)
class ScreeningSpec:
    """What is screened against which lists.

    Fields of the event; an empty one is not screened. `review` and `block` are match scores (0 to
    1) from which a name asks for a review or a block; `block` above 1 means never. `embargoed` and
    `high_risk` are ISO 3166 alpha-2 codes, upper case: the first block, the second ask for review.
    `readings`: what a name is also read as (`core.readings`: HIDDEN, IN_OTHER_LETTERS, 0 for only
    as written); policies decide by what there was when they were published.
    """

    name_field: str
    country_field: str = ""
    birth_date_field: str = ""
    lists: tuple[str, ...] = ()
    review: float = REVIEW_FROM
    block: float = BLOCK_FROM
    embargoed: frozenset[str] = frozenset()
    high_risk: frozenset[str] = frozenset()
    readings: int = 2


@dataclass(frozen=True, slots=True)
class CostSpec:
    """What decisions cost, in the detector's currency; see `models_registry.core.thresholds`.

    `recoverability`: the share of what is at risk that a decision on an alert still saves; the
    queue orders alerts by it.
    """

    review_cost: float = 5.0
    false_block_cost: float = 20.0
    loss_share: float = 1.0
    capacity: float = 0.01
    recoverability: float = 1.0


@dataclass(frozen=True, slots=True)
class TrainingSpec:
    """How a detector learns. `label_delay` in seconds: younger events are not yet matured.

    `review_after`: seconds for which a champion may score from the day it was put into service on;
    past that it is to be reviewed, and the rules decide alone. 0: no end.
    `unlabelled_is_legitimate`: a matured event that nobody labelled counts as legitimate, because
    whoever is harmed reports it; where nobody reports, it stays unknown, and no learner that needs
    labels learns from it.
    `imbalance`: what is done about a rare class. `tune_for`: seconds for which parameters are
    searched before each training.
    """

    learner: str = "lightgbm"
    label_delay: float = 7 * 86400.0
    retrain_every: float = 7 * 86400.0
    minimum_positives: int = 20
    review_after: float = 0.0
    unlabelled_is_legitimate: bool = True
    imbalance: ImbalanceSpec = NOTHING
    tune_for: float = 0.0
    guard: GuardSpec = field(default_factory=GuardSpec)


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """A named detection problem, as declared.

    `label_column` is where an imported file says what was true; it is no field of an event.
    `elapsed_field` holds seconds since `elapsed_since` (seconds since 1970) in files that have no
    times. `immutable` fields are never changed by a counterfactual. `links` are fields by whose
    values entities are linked, None where the declaration does not say. `currency` is that of costs
    and of an event that names none. `drops_undeclared`: fields that the schema does not name are
    not stored; else they are, in clear.
    """

    slug: str
    name: str
    description: str
    id_field: str
    time_field: str
    amount_field: str
    currency_field: str
    currency: str
    entity_field: str
    entity_word: str
    pii_fields: frozenset[str]
    label_column: str
    schema: Mapping[str, Any]
    features: tuple[FeatureSpec, ...]
    rules: tuple[RuleSpec, ...]
    costs: CostSpec
    training: TrainingSpec
    screening: ScreeningSpec | None = None
    audit_rate: float = AUDIT_RATE
    immutable: frozenset[str] = frozenset()
    links: tuple[str, ...] | None = None
    elapsed_field: str = ""
    elapsed_since: float = 0.0
    drops_undeclared: bool = False

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names in the order of the feature vector."""
        return tuple(feature.name for feature in self.features)

    def keeps(self, name: str) -> bool:
        """Whether a field of an event is kept with it."""
        return not self.drops_undeclared or name in self.schema["properties"]

    def type_of(self, field: str) -> str:
        """Type of an event's field; one that the schema does not name is a `string`."""
        return str(self.schema["properties"].get(field, {}).get("type", "string"))

    def currency_said(self, code: object) -> str:
        """The currency of an event that names this code, in whatever case, or none."""
        said = self.currency if code is None else str(code)
        return self.currency if said.upper() == self.currency.upper() else said.upper()

    def own_amount(self, amount: Decimal | None, currency: str) -> float:
        """An amount as costs count it: NaN (unknown) in another currency than the detector's own,
        for nothing is converted here. Earlier releases stored a code as it was written."""
        if amount is None or self.currency_said(currency) != self.currency:
            return math.nan
        return float(amount)

    @property
    def risk_delay(self) -> float:
        """Seconds before an event from which on its risk features look; infinite without any.

        A batch that spans less time may be taught its labels after it has been scored.
        """
        return min((f.offset for f in self.features if f.kind in RISKS), default=math.inf)

    @property
    def entity_fields(self) -> tuple[str, ...]:
        """Every event field that keys a window or groups alerts, in a fixed order."""
        keys = {f.entity for f in self.features if f.entity} | {self.entity_field} - {""}
        return tuple(sorted(keys))

    @property
    def link_fields(self) -> tuple[str, ...]:
        """Fields by whose values entities are linked: as declared, else the keys of its windows."""
        fields = self.entity_fields if self.links is None else self.links
        return tuple(name for name in fields if name != self.entity_field)


@dataclass(frozen=True, slots=True)
class TruthWords:
    """What the two truths about an event are called, in the middle of a sentence."""

    fraud: str
    legitimate: str

    @property
    def pair(self) -> str:
        """Both, as the `yesno` filter of templates takes them."""
        return f"{self.fraud.capitalize()},{self.legitimate.capitalize()}"


def truth_words(spec: DetectorSpec | None) -> TruthWords:
    """Money is defrauded; where no amount is at stake, something had an incident or had none."""
    if spec is not None and not spec.amount_field:
        return TruthWords("incident", "no incident")
    return TruthWords("fraud", "legitimate")


def _screening(read: Reader, raw: Mapping[str, Any]) -> ScreeningSpec | None:
    if not raw:
        return None
    read.only("screening", raw, SCREENING)
    fields = {
        key: read.known_field(f"screening.{key}", raw[key])
        for key in ("name", "country", "birth_date")
        if raw.get(key)
    }
    for key, name in fields.items() if not read.stored else ():
        read.plays(f"screening.{key}", name, types=("string",))  # Of others nothing would be read.
    if not fields:
        read.bad("screening", "say which field is the name or the country")
    marks = {"review": REVIEW_FROM, "block": BLOCK_FROM}
    for key in marks:
        if key in raw:
            if is_number(raw[key]) and 0.5 <= raw[key] <= 2.0:
                marks[key] = float(raw[key])
            else:
                read.bad(f"screening.{key}", "is a match score from 0.5; above 1 means never")
    found = ScreeningSpec(
        name_field=fields.get("name", ""),
        country_field=fields.get("country", ""),
        birth_date_field=fields.get("birth_date", ""),
        lists=tuple(dict.fromkeys(str(name) for name in raw.get("lists", []))),
        review=marks["review"],
        block=marks["block"],
        embargoed=_countries(read, raw, "embargoed"),
        high_risk=_countries(read, raw, "high_risk"),
    )
    if found.review > found.block:
        read.bad("screening.block", "lies at or above screening.review")
    return found


def _countries(read: Reader, raw: Mapping[str, Any], key: str) -> frozenset[str]:
    """As those of events are read: UK is GB there, and what is no country matches none."""
    written = [str(code).strip().upper() for code in raw.get(key, [])]
    if read.stored:
        return frozenset(written)  # Earlier releases took any two letters.
    codes = {code: country_code(code) if len(code) == 2 else "" for code in written}
    for code in written:
        if code == "FALSE":
            read.bad(f"screening.{key}", 'has a false: Norway is written "NO", in quotes')
        elif not codes[code]:
            read.bad(f"screening.{key}", f"'{code}' is no two-letter country code (quote NO)")
    return frozenset(codes.values())


def _audit_rate(read: Reader, raw: Mapping[str, Any]) -> float:
    rate = raw.get("audit_rate", AUDIT_RATE)
    if not is_number(rate) or not 0.0 <= rate <= 1.0:
        read.bad("audit_rate", "is a share from 0 to 1")
        return AUDIT_RATE
    return float(rate)


def _settings(read: Reader, raw: Mapping[str, Any], place: str, kind: type[Any]) -> dict[str, Any]:
    """The settings of a section, durations in seconds; unknown ones are reported."""
    given = dict(raw.get(place, {}))
    for key in sorted(set(given) - set(kind.__dataclass_fields__)):
        hint = read.hint(str(key), kind.__dataclass_fields__)
        read.bad(f"{place}.{key}", f"is not a setting{hint}")
        del given[key]
    for key in {"label_delay", "retrain_every", "review_after", "tune_for"} & set(given):
        given[key] = read.duration(f"{place}.{key}", given[key])
    if "imbalance" in given:
        given["imbalance"] = read_imbalance(read, given["imbalance"])
    if "guard" in given:
        given["guard"] = read_guard(read, given["guard"])
    return given


def _costs(read: Reader, raw: Mapping[str, Any]) -> dict[str, Any]:
    costs = _settings(read, raw, "costs", CostSpec)
    # Earlier releases took any number for all but one.
    for key in ("recoverability",) if read.stored else ("recoverability", "capacity"):
        if not 0.0 <= costs.get(key, 1.0) <= 1.0:
            read.bad(f"costs.{key}", "is a share between 0 and 1")
    for key in () if read.stored else ("review_cost", "false_block_cost", "loss_share"):
        read.number(f"costs.{key}", costs.get(key, 0.0), low=0.0)
    return costs


def _training(read: Reader, raw: Mapping[str, Any]) -> dict[str, Any]:
    training = _settings(read, raw, "training", TrainingSpec)
    if isinstance(training.get("learner"), str):
        training["learner"] = training["learner"].replace("-", "_")
    if read.stored:
        return training
    if "learner" in training:
        training["learner"] = read.one_of("training.learner", training["learner"], LEARNERS)
    least = training.get("minimum_positives", 1)
    if least != int(least) or least < 1:
        read.bad("training.minimum_positives", "is a whole number from 1")
    return training


def _immutable(read: Reader, raw: Mapping[str, Any]) -> frozenset[str]:
    names = raw.get("immutable", [])
    return frozenset([read.known_field("features.immutable", name) for name in names])


def _slug(read: Reader, raw: Mapping[str, Any]) -> str:
    """Checked, and with it the name that stands beside it."""
    slug = str(raw.get("slug", ""))
    if not SLUG.fullmatch(slug):
        read.bad("slug", "needs 2 to 40 lower-case letters, digits or underscores")
    name = str(raw.get("name", slug))
    if not read.stored and not 0 < len(name.strip()) <= MOST_NAME:
        read.bad("name", f"is a text of 1 to {MOST_NAME} characters")
    return slug


def parse_spec(raw: Mapping[str, Any], *, stored: bool = False) -> DetectorSpec:
    """Read a detector declaration. Raises SpecError with every problem found.

    `stored`: it was taken in before, perhaps by a release that passed over unknown settings.
    """
    misshapen = shape_problems(raw)
    if misshapen:
        raise SpecError(misshapen)
    event = raw.get("event", {})
    schema = event.get("schema", {})
    read = Reader(event, stored=stored)
    read.only("", raw, (*SECTIONS, "transformations"))
    if "transformations" in raw and not stored:
        read.bad("transformations", "stand under features")
    slug = _slug(read, raw)
    check_event(read, event)
    features = read_features(read, raw.get("features", {}))
    immutable = _immutable(read, raw.get("features", {}))
    elapsed_field, elapsed_since = read_elapsed(read, event.get("elapsed", {}))
    rules = read_rules(read, raw.get("rules", []))
    screening = _screening(read, raw.get("screening", {}))
    audit_rate = _audit_rate(read, raw)
    costs = _costs(read, raw)
    training = _training(read, raw)
    if read.problems:
        raise SpecError(read.problems)
    return DetectorSpec(
        slug=slug,
        name=str(raw.get("name", slug)),
        description=str(raw.get("description", "")).strip(),
        **_roles(event),
        schema=schema,
        features=features,
        rules=rules,
        costs=CostSpec(**costs),
        training=TrainingSpec(**training),
        screening=screening,
        audit_rate=audit_rate,
        immutable=immutable,
        elapsed_field=elapsed_field,
        elapsed_since=elapsed_since,
    )


def _roles(event: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of an event are for, and what becomes of others; checked before."""
    currency = event.get("currency", {})
    return {
        "id_field": event.get("id", ""),
        "time_field": event.get("time", ""),
        "amount_field": event.get("amount", ""),
        "currency_field": currency.get("field", ""),
        "currency": currency.get("default", "EUR"),
        "entity_field": event.get("entity", ""),
        "entity_word": event.get("entity_word", "entity"),
        "pii_fields": frozenset(str(name) for name in event.get("pii", [])),
        "label_column": str(event.get("label_column", "")),
        "links": tuple(dict.fromkeys(event["links"])) if "links" in event else None,
        "drops_undeclared": event.get("undeclared") == DROP,
    }
