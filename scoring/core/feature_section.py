"""The `features` section of a declaration, read into features.

A step either makes features (`transformations.MAKERS`) or says how features reach the model
(`imputation`, `scaling`, `encoding`). What the latter ask for is fitted at training and lives in
the bundle's encoder; the stored vector stays raw. docs/detectors.md has the form.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Final

from scoring.core.reader import NUMBERS, Reader
from scoring.core.shape import is_number
from scoring.core.transformations import (
    MAKERS,
    MOST_FEATURES,
    Config,
    FeatureSpec,
    refuse_many,
)

IMPUTATIONS: Final = ("mean", "median", "most_frequent", "constant")
SCALINGS: Final = ("none", "standard", "robust", "min_max", "log")
ENCODINGS: Final = ("both", "one_hot", "frequency", "target")
PREPARERS: Final[dict[str, tuple[str, ...]]] = {
    "imputation": ("strategy", "fields", "value"),
    "scaling": ("method", "fields"),
    "encoding": ("method", "fields", "smoothing", "delay"),
}
MOST_PREPARED: Final = 50_000
"""Features that all preparing steps speak of together: reading them takes half a second."""
TRANSFORMATIONS: Final = (*MAKERS, *PREPARERS)
CATEGORIES: Final = ("category", "numbers")
NUMERIC: Final = ("number", "categories")
"""What a feature is, and what a preparing step takes that cannot take it."""


ONLY_FOR: Final[dict[str, tuple[str, str]]] = {
    "value": ("strategy", "constant"),
    "smoothing": ("method", "target"),
    "delay": ("method", "target"),
}
"""Settings of a preparing step that count with one value of another alone."""


def _change(read: Reader, place: str, kind: str, config: Config) -> dict[str, Any]:
    """What a preparing step sets of a Preparation."""
    for key, (other, needed) in ONLY_FOR.items():
        if key in config and config.get(other) != needed and not read.stored:
            read.bad(f"{place}.{key}", f"counts with {other}: {needed} alone")
    if kind == "imputation":
        how = read.one_of(f"{place}.strategy", config.get("strategy", "median"), IMPUTATIONS)
        found: dict[str, Any] = {"impute": how}
        if how == "constant":
            value: Any = config.get("value")
            if not (is_number(value) or isinstance(value, str)):
                read.bad(f"{place}.value", "is the number or text that stands for a missing one")
                value = 0
            found["fill"] = value if isinstance(value, str) else float(value)
        return found
    if kind == "scaling":
        how = read.one_of(f"{place}.method", config.get("method", "standard"), SCALINGS)
        return {"log": True} if how == "log" else {"scale": how}
    found = {"encode": read.one_of(f"{place}.method", config.get("method", "one_hot"), ENCODINGS)}
    if "smoothing" in config:
        found["smoothing"] = read.number(f"{place}.smoothing", config["smoothing"], low=0.0)
    if "delay" in config:
        found["delay"] = read.duration(f"{place}.delay", config["delay"])
    return found


def _takes(kind: str, change: Mapping[str, Any], feature: FeatureSpec) -> bool:
    """Whether a step that names no fields speaks of this feature."""
    category = feature.kind == "category"
    if kind != "imputation":
        return category == (kind == "encoding")
    if change["impute"] == "constant":
        return category == isinstance(change["fill"], str)
    return not category or change["impute"] == "most_frequent"


def _prepare(
    read: Reader, place: str, kind: str, config: Config, features: list[FeatureSpec]
) -> None:
    """Write a preparing step into the features that it speaks of, in place."""
    change = _change(read, place, kind, config)
    text = change.get("fill")
    named = config.get("fields")
    if named is not None:
        named = read.items(place, config, "fields")
    for i, feature in enumerate(features):
        chosen = feature.name in named if named is not None else _takes(kind, change, feature)
        if not chosen:
            continue
        if (feature.kind == "category") != (kind == "encoding") and kind != "imputation":
            is_a, takes = CATEGORIES if feature.kind == "category" else NUMERIC
            read.bad(f"{place}.fields", f"'{feature.name}' is a {is_a}: {kind} takes {takes}")
        if feature.kind == "category" and change.get("impute") in ("mean", "median"):
            read.bad(f"{place}.fields", f"'{feature.name}' is a category and has no mean or median")
        if feature.kind != "category" and isinstance(text, str) and not read.stored:
            # Earlier releases took it in, and the median for it.
            read.bad(f"{place}.value", f"'{feature.name}' is a number, and '{text}' is a text")
        features[i] = replace(feature, prepared=replace(feature.prepared, **change))
    known = {feature.name for feature in features}
    for name in named or []:
        if not isinstance(name, str) or name not in known:
            read.bad(f"{place}.fields", f"'{name}' is no feature of this pipeline")


def _implied(read: Reader, steps: list[tuple[str, str, Config]]) -> list[FeatureSpec]:
    """Event fields that no step makes a feature of, though one says how they reach the model.

    A pipeline that only imputes and scales takes the event's numbers as they are; an encoding makes
    its fields categories.
    """
    made = {name for _, kind, c in steps if kind in ("numeric", "category") for name in _list(c)}
    found = []
    kinds = {kind for _, kind, _ in steps}
    if kinds & {"imputation", "scaling"} and not kinds & {"numeric", "category"}:
        roles = {str(read.event.get(key)) for key in ("id", "time", "entity")}
        keys = {str(config.get("entity_key")) for _, _, config in steps}
        for name, rule in read.fields.items():
            if rule["type"] in NUMBERS and name not in roles | keys:
                found.append(FeatureSpec(name, "numeric", name))
        _refuse_personal(read, steps, [feature.name for feature in found])
    for i, (place, kind, config) in enumerate(steps):
        if kind != "encoding":
            continue
        for name in dict.fromkeys(_list(config)):
            if isinstance(name, str) and name in read.fields and name not in made:
                made.add(name)
                make, _ = MAKERS["category"]
                found += [replace(f, step=i) for f in make(read, place, {"fields": [name]})]
    return found


def _refuse_personal(read: Reader, steps: list[tuple[str, str, Config]], names: list[str]) -> None:
    """Nobody has said that the model may see personal data: it is a feature only where named."""
    personal = [name for name in names if name in read.event.get("pii", [])]
    if personal and not read.stored:
        place = next(place for place, kind, _ in steps if kind in ("imputation", "scaling"))
        others = ", ".join(name for name in names if name not in personal) or "..."
        step = f"{{type: numeric, config: {{fields: [{others}]}}}}"
        said = f"'{personal[0]}' is personal data: name the numbers that may be features, {step}"
        read.bad(place.removesuffix(".config"), said)


def _list(config: Config) -> list[Any]:
    found = config.get("fields")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def read_features(read: Reader, raw: Mapping[str, Any]) -> tuple[FeatureSpec, ...]:
    """The `features` section: features in the order of the vector, each with its preparation."""
    read.only("features", raw, ("name", "labels", "transformations", "immutable"))
    steps = []
    for i, step in enumerate(raw.get("transformations", [])):
        place, kind = f"features.transformations[{i}]", str(step.get("type"))
        read.only(place, step, ("type", "config"))
        if kind not in TRANSFORMATIONS:
            hint = read.hint(str(kind), TRANSFORMATIONS, listed=False)
            read.bad(f"{place}.type", f"'{kind}' is none of {', '.join(TRANSFORMATIONS)}{hint}")
        config = step.get("config", {})
        known = PREPARERS.get(kind) or MAKERS.get(kind, (None, config))[1]
        read.only(f"{place}.config", config, known)
        steps.append((f"{place}.config", kind, config))
    features = _implied(read, steps)
    for i, (place, kind, config) in enumerate(steps):
        if kind in MAKERS:
            features += [replace(f, step=i) for f in MAKERS[kind][0](read, place, config)]
    if refuse_many(read, "features.transformations", len(features)):
        return tuple(features[:MOST_FEATURES])
    names = [feature.name for feature in features]
    for name in sorted(name for name, count in Counter(names).items() if count > 1):
        again = len(names) - 1 - names[::-1].index(name)
        place = f"features.transformations[{features[again].step}]"
        read.bad(place, f"'{name}' is declared twice")
    preparing = [step for step in steps if step[1] in PREPARERS]
    prepared = sum(len(_list(config)) or len(features) for _, _, config in preparing)
    if prepared > MOST_PREPARED and not read.stored:
        said = f"prepare features {prepared:,} times over: at most {MOST_PREPARED:,} times"
        read.bad("features.transformations", said)
        preparing = []
    for place, kind, config in preparing:
        _prepare(read, place, kind, config, features)
    if not features:
        read.bad("features.transformations", "declare at least one feature")
    labels = raw.get("labels", {})
    _check_labels(read, labels, names)
    return tuple(replace(f, label=str(labels.get(f.name, ""))) for f in features)


def _check_labels(read: Reader, labels: Mapping[Any, Any], features: Collection[str]) -> None:
    """A name that no feature has would never be read. Earlier releases took it in."""
    if read.stored:
        return
    for name, label in labels.items():
        place = f"features.labels.{name}"
        if name not in features:
            hint = read.hint(str(name), features, listed=False)
            read.bad(place, f"'{name}' is no feature of this pipeline{hint}")
        elif not isinstance(label, str):
            read.bad(place, "is a text")
