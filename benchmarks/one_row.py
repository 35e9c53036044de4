"""One event at a time, in process: what each step between event and verdict takes."""

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter_ns

import numpy as np

from benchmarks.measure import Row, percentiles, time_calls
from benchmarks.models import DETECTORS, LEARNERS, Material, fit, gather
from models_registry.core.learners.base import Learner
from scoring.core.bundle import Bundle
from scoring.core.decision import decide
from scoring.core.explain import group_by_source
from scoring.core.features import FeaturePlan
from scoring.core.inference import score_of
from scoring.core.pipeline import judge, rule_values, score
from scoring.core.reasons import explain_reasons
from scoring.core.rules import evaluate
from scoring.core.types import Event
from scoring.core.vectors import build
from scoring.core.windows import EntityWindow

HISTORY = 200
PROBES = 100
CALLS = 1500
TARGET_US = 300.0
STEPS = ("features", "model", "decision", "contributions", "reasons")
COLUMNS = (
    "detector", "algorithm", "features", "model", "decision", "scored p50", "scored p99",
    "contributions", "reasons", "all p50", "all p99",
)  # fmt: skip


def run(root: Path) -> tuple[list[Row], dict[str, float], dict[str, str]]:
    """(a row per detector and algorithm, ratios, digests of the LightGBM bundles by detector)."""
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    champions: dict[str, str] = {}
    for slug in DETECTORS:
        material = gather(slug)
        events, windows = probes(material)
        for name in LEARNERS:
            bundle, learner = fit(material, name, root)
            rows.append({"detector": slug, "algorithm": name, **measure(events, windows, bundle)})
            if name == "lightgbm":
                champions[slug] = bundle.digest
                ratios |= {f"{slug}: {k}": v for k, v in compare(material, bundle, learner).items()}
    return rows, ratios, champions


def probes(material: Material) -> tuple[list[Event], Mapping[tuple[str, str], EntityWindow]]:
    """Events of one busy entity per key, and its full windows.

    Every key's window holds HISTORY events spread evenly over the longest span that it remembers,
    so each aggregate has something to add up.
    """
    plan = FeaturePlan(material.spec)
    keys = dict.fromkeys(material.spec.entity_fields, "probe")
    past, fresh = material.events[:HISTORY], material.events[HISTORY : HISTORY + PROBES]
    now = material.events[-1].time
    windows = {}
    for entity in plan.entities:
        rows = np.array([entity.values(event) for event in past])
        rows[:, 0] = now - np.linspace(entity.reach, 30.0, len(rows))
        windows[entity.key, "probe"] = EntityWindow(rows)
    return [event._replace(time=now, keys=keys) for event in fresh], windows


def measure(
    events: list[Event], windows: Mapping[tuple[str, str], EntityWindow], bundle: Bundle
) -> Row:
    """Microseconds by step, of the sum up to the decision, and of `pipeline.score` as a whole."""
    taken = np.array([_steps(events[i % PROBES], windows, bundle) for i in range(CALLS + 50)][50:])
    row: Row = {
        step: percentiles(taken[:, i])["p50_us"] for i, step in enumerate(STEPS)
    }  # fmt: skip
    scored = percentiles(taken[:, :3].sum(axis=1))
    whole = time_calls(lambda i: score(events[i % PROBES], windows, bundle), calls=CALLS)
    return row | {
        "scored p50": scored["p50_us"],
        "scored p99": scored["p99_us"],
        "all p50": whole["p50_us"],
        "all p99": whole["p99_us"],
    }


def _steps(
    event: Event, windows: Mapping[tuple[str, str], EntityWindow], bundle: Bundle
) -> list[int]:
    """Nanoseconds of each of STEPS for one event: `pipeline.score`, taken apart."""
    predictor = bundle.predictor
    assert predictor is not None  # noqa: S101 - every bundle here has a model
    clock = [perf_counter_ns()]
    vector = build(bundle.plan, event, windows)
    clock.append(perf_counter_ns())
    matrix = predictor.encoder.matrix(vector[None, :])
    margin = predictor.model.margin(matrix)
    value = score_of(margin, predictor.model.link)
    probability = predictor.calibration.probability(margin)
    clock.append(perf_counter_ns())
    hits = evaluate(bundle.policy.rules, rule_values(event, vector, bundle))
    decide(float((value if probability is None else probability)[0]), predictor.thresholds, hits)
    clock.append(perf_counter_ns())
    parts = predictor.explainer.contributions(matrix)
    by_feature = group_by_source(parts, predictor.encoder.source, len(vector))[0]
    clock.append(perf_counter_ns())
    explain_reasons(bundle.spec, bundle.plan, event, vector, by_feature, windows, bundle.reference)
    clock.append(perf_counter_ns())
    return np.diff(clock).tolist()


def compare(material: Material, bundle: Bundle, learner: Learner) -> dict[str, float]:
    """The served LightGBM against the library's own one-row predict and contributions."""
    predictor = bundle.predictor
    assert predictor is not None  # noqa: S101
    matrix = predictor.encoder.matrix(material.vectors)
    n = len(matrix)
    booster = learner.booster_  # type: ignore[attr-defined]

    def served(i: int) -> object:
        return predictor.model.margin(matrix[i % n : i % n + 1])

    def stock(i: int) -> object:
        return booster.predict(matrix[i % n : i % n + 1], raw_score=True, num_threads=1)

    def explained(i: int) -> object:
        return predictor.explainer.contributions(matrix[i % n : i % n + 1])

    def stock_explained(i: int) -> object:
        return booster.predict(matrix[i % n : i % n + 1], pred_contrib=True, num_threads=1)

    times = {
        act.__name__: time_calls(act, calls=300)["p50_us"]
        for act in (served, stock, explained, stock_explained)
    }
    batch = time_calls(lambda i: judge(predictor, material.vectors[:1000]), calls=5, warm_up=1)
    single = time_calls(lambda i: judge(predictor, material.vectors[i : i + 1]), calls=300)
    return {
        "stock LightGBM predict / served model": round(times["stock"] / times["served"], 2),
        "stock pred_contrib / served contributions": round(
            times["stock_explained"] / times["explained"], 2
        ),
        "judging 1,000 rows singly / in one batch": round(
            1000 * single["p50_us"] / batch["p50_us"], 1
        ),
    }
