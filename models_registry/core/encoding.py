"""Fit a bundle's encoder: what stands for a missing number, how it is scaled, which levels a
category has and what they say of fraud.

Everything is fitted on the training rows alone. Labels are used by the target encoding only; the
rows that a learner learns from get it without their own labels, in the order of time: a row sees
what was known when it happened (`training_matrix`), as it will be in serving.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from scoring.core.encoder import Encoder, signed_log
from scoring.core.features import category_code
from scoring.core.schema import key_text
from scoring.core.transformations import FeatureSpec

MAX_LEVELS: Final = 16
MIN_LEVEL_ROWS: Final = 5
SMALLEST: Final = 1e-9

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int8]


def fit_encoder(
    features: Sequence[FeatureSpec],
    vectors: FloatArray,
    level_names: dict[str, dict[float, str]],
    labels: IntArray | None = None,
) -> Encoder:
    """Encoder for raw training `vectors` float64[n, k]; `labels` int8[n] are 0, 1 or -1 (unknown).

    Numbers: a missing one becomes what the declaration says (the median if it says nothing), then
    the number is scaled as it says. Categories: a column for each of the most frequent levels, one
    with the level's share, or one with its rate of fraud. `level_names` give levels a readable
    column name, or a name beside the one column that stands for all of them.
    """
    known = np.full(len(vectors), -1, np.int8) if labels is None else np.asarray(labels, np.int8)
    columns: list[dict[str, Any]] = []
    for i, feature in enumerate(features):
        values = vectors[:, i]
        if feature.kind == "category":
            names = level_names.get(feature.name, {})
            columns += _category(i, feature, values, names, known)
        else:
            columns.append(_number(i, feature, values))
    return Encoder(columns)


def _number(source: int, feature: FeatureSpec, values: FloatArray) -> dict[str, Any]:
    how = feature.prepared
    known = values[np.isfinite(values)]
    fill = 0.0
    if how.impute == "constant" and not isinstance(how.fill, str):
        fill = how.fill
    elif known.size:
        fill = _typical(how.impute, known)
    column = {"name": feature.name, "source": source, "op": "number", "fill": fill}
    if how.log:
        column["log"] = True
    if how.scale != "none":
        filled = np.where(np.isfinite(values), values, fill)
        column |= _scale(how.scale, signed_log(filled) if how.log else filled)
    return column


def _typical(strategy: str, known: FloatArray) -> float:
    if strategy == "mean":
        return float(known.mean())
    if strategy == "most_frequent":
        found, counts = np.unique(known, return_counts=True)
        return float(found[counts.argmax()])
    return float(np.median(known))


def _scale(method: str, values: FloatArray) -> dict[str, float]:
    """Center and scale of values float64[n]; a column without spread is only centred."""
    if not values.size:
        return {}
    if method == "standard":
        center, scale = float(values.mean()), float(values.std())
    elif method == "robust":
        low, center, high = (float(q) for q in np.quantile(values, (0.25, 0.5, 0.75)))
        scale = high - low
    else:
        center = float(values.min())
        scale = float(values.max()) - center
    if not scale > SMALLEST * max(abs(center), 1.0):
        scale = 1.0
    return {"center": center, "scale": scale}


def _category(
    source: int, feature: FeatureSpec, values: FloatArray, names: dict[float, str], labels: IntArray
) -> list[dict[str, Any]]:
    name, how = feature.name, feature.prepared
    extra: dict[str, Any] = {}
    missing = _missing_code(feature, values)
    if missing is not None:
        extra["missing"] = missing
        values = np.where(np.isnan(values), missing, values)
    codes, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    frequent = [float(codes[i]) for i in order if counts[i] >= MIN_LEVEL_ROWS][:MAX_LEVELS]
    columns: list[dict[str, Any]] = []
    if how.encode in ("both", "one_hot"):
        columns += [
            {"name": f"{name}={names.get(code, int(code))}", "op": "level", "code": code}
            for code in frequent
        ]
    elif named := [[code, names[code]] for code in frequent if code in names]:
        extra["named"] = named
    if codes.size and how.encode in ("both", "frequency"):
        shares = (counts / counts.sum()).tolist()
        columns.append(
            {"name": f"{name} share", "op": "share", "codes": codes.tolist(), "shares": shares}
        )
    if how.encode == "target":
        columns.append(_target(name, values, labels, how.smoothing))
    return [{**column, "source": source, **extra} for column in columns]


def _missing_code(feature: FeatureSpec, values: FloatArray) -> float | None:
    """The level that a missing category counts as, None where it is no level."""
    how = feature.prepared
    known = values[np.isfinite(values)]
    if how.impute == "constant":
        # 1 is the level "1", or "1.0" where events write the number so.
        codes = [category_code(text) for text in (key_text(how.fill), str(how.fill))]
        return next((code for code in codes if code in known), codes[0])
    return (
        _typical("most_frequent", known) if how.impute == "most_frequent" and known.size else None
    )


def _prior(labels: IntArray) -> float:
    known = labels >= 0
    return float((labels[known] == 1).mean()) if known.any() else 0.0


def _target(name: str, values: FloatArray, labels: IntArray, smoothing: float) -> dict[str, Any]:
    """Rate of fraud by level, pulled towards the rate of all rows as if by `smoothing` rows."""
    usable = np.isfinite(values) & (labels >= 0)
    codes, place = np.unique(values[usable], return_inverse=True)
    n = np.bincount(place, minlength=len(codes))
    positive = np.bincount(place, labels[usable] == 1, minlength=len(codes))
    prior = _prior(labels)
    rates = (positive + smoothing * prior) / np.maximum(n + smoothing, SMALLEST)
    return {
        "name": f"{name} risk",
        "op": "target",
        "codes": codes.tolist(),
        "rates": rates.tolist(),
        "prior": prior,
    }


def training_matrix(
    encoder: Encoder,
    features: Sequence[FeatureSpec],
    vectors: FloatArray,
    labels: IntArray,
    event_time: FloatArray,
    *,
    label_delay: float,
) -> NDArray[np.float32]:
    """The matrix that a learner learns from, float32[n, m], for the rows the encoder was fitted on.

    As `encoder.matrix`, but the target encoding of a row counts only rows whose labels were known
    at its time (event time + delay, in seconds). The rows' own labels never reach their columns.
    """
    matrix = encoder.matrix(vectors)
    if not any(column["op"] == "target" for column in encoder.columns):
        return matrix
    vectors = encoder.with_missing(vectors)
    for place, column in enumerate(encoder.columns):
        if column["op"] != "target":
            continue
        how = features[column["source"]].prepared
        delay = label_delay if how.delay is None else how.delay
        values = vectors[:, column["source"]]
        matrix[:, place] = _expanding(
            values, labels, event_time, delay, how.smoothing, float(column["prior"])
        )
    return matrix


def _expanding(
    values: FloatArray,
    labels: IntArray,
    event_time: FloatArray,
    delay: float,
    smoothing: float,
    prior: float,
) -> FloatArray:
    """Smoothed rate of the level as it was known at each row's time, float64[n].

    `prior`, the rate of all training rows, is one number for all of them and tells no row apart.
    """
    found = np.full(len(values), prior)
    present = np.flatnonzero(~np.isnan(values))
    order = present[np.lexsort((event_time[present], values[present]))]
    edges = np.flatnonzero(np.diff(values[order])) + 1
    # Without a delay strictly earlier rows: a row never counts itself.
    side: Final = "right" if delay > 0.0 else "left"
    for rows in np.split(order, edges):
        known = rows[labels[rows] >= 0]
        sums = np.concatenate(([0], np.cumsum(labels[known] == 1)))
        n = np.searchsorted(event_time[known] + delay, event_time[rows], side)
        weight = n + smoothing
        rate = (sums[n] + smoothing * prior) / np.maximum(weight, SMALLEST)
        found[rows] = np.where(weight > 0.0, rate, prior)
    return found
