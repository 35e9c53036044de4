"""Histories for `benchmarks.queue_order`: what a calibrated model says of the weeks after it."""

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice
from typing import Final

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks import handbook
from benchmarks.models import DECLARATIONS, START, empty_windows
from models_registry.core.calibration import fit_calibration
from models_registry.core.encoding import fit_encoder, training_matrix
from models_registry.core.learners.catalogue import make_learner
from scoring.core.features import FeaturePlan
from scoring.core.schema import EventParser
from scoring.core.spec import DetectorSpec, parse_spec
from scoring.core.vectors import build_many
from scoring.simulation.stream import history

DAY: Final = 86400.0
SEED: Final = 23
SIMULATED: Final = 120_000
SIMULATED_DAYS: Final = 150
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scored:
    """Events after the model was made, in the order of time, with what it says of them."""

    time: Floats
    entity: NDArray[np.int64]
    amount: Floats
    fraud: NDArray[np.int8]
    risk: Floats
    capacity: float

    @property
    def days(self) -> float:
        return float(self.time[-1] - self.time[0]) / DAY

    @property
    def alerts_a_day(self) -> float:
        """As many as the detector declares that people can review."""
        return self.capacity * self.time.size / self.days

    def flagged(self) -> "Scored":
        """The riskiest events, as many that about `alerts_a_day` alerts come of them."""
        pairs = np.stack([self.entity, (self.time // DAY).astype(np.int64)], axis=1)
        order = np.argsort(-self.risk, kind="stable")
        seen: set[tuple[int, int]] = set()
        kept = 0
        for row in order:
            seen.add((int(pairs[row, 0]), int(pairs[row, 1])))
            if len(seen) > self.alerts_a_day * self.days:
                break
            kept += 1
        rows = np.sort(order[:kept])
        return Scored(
            self.time[rows], self.entity[rows], self.amount[rows], self.fraud[rows],
            self.risk[rows], self.capacity,
        )  # fmt: skip


def score(
    spec: DetectorSpec,
    vectors: Floats,
    time: Floats,
    fraud: NDArray[np.int8],
    cuts: tuple[float, float, float],
) -> tuple[slice, Floats]:
    """(rows after the last cut, their calibrated probabilities).

    Learnt before cuts[0], calibrated between cuts[1] and cuts[2]; what lies between matures.
    """
    learnt, first, last = np.searchsorted(time, cuts).tolist()
    delay = spec.training.label_delay
    encoder = fit_encoder(spec.features, vectors[:learnt], {}, fraud[:learnt])
    matrix = training_matrix(
        encoder, spec.features, vectors[:learnt], fraud[:learnt], time[:learnt], label_delay=delay
    )
    learner = make_learner("lightgbm").fit(matrix, fraud[:learnt])
    held = learner.margin(encoder.matrix(vectors[first:last]))
    calibration = fit_calibration(held, fraud[first:last])
    margins = learner.margin(encoder.matrix(vectors[last:]))
    risk = calibration.probability(margins)
    return slice(last, None), margins if risk is None else np.asarray(risk)


def handbook_events() -> Scored:
    """Learnt from 2018-05-01 to 06-04, calibrated on 06-12 to 19, eight weeks from 06-20 on."""
    data = handbook.load()
    amount = handbook.read_transactions()[0]["TX_AMOUNT"].to_numpy().astype(float)
    from_may = int(np.searchsorted(data.day, (date(2018, 5, 1) - handbook.FIRST_DAY).days))
    cuts = [
        handbook.FIRST_SECOND + (day - handbook.FIRST_DAY).days * DAY
        for day in (date(2018, 6, 5), date(2018, 6, 12), date(2018, 6, 20))
    ]
    rest = slice(from_may, None)
    rows, risk = score(
        data.spec, data.vectors[rest], data.time[rest], data.fraud[rest],
        (cuts[0], cuts[1], cuts[2]),
    )  # fmt: skip
    return Scored(
        data.time[rest][rows], data.card[rest][rows], amount[rest][rows], data.fraud[rest][rows],
        risk, data.spec.costs.capacity,
    )  # fmt: skip


def simulated_events(slug: str) -> Scored:
    """Learnt from 60 days, calibrated on days 67 to 86, judged on the rest of 150."""
    config = yaml.safe_load((DECLARATIONS / f"{slug}.yaml").read_text(encoding="utf-8"))
    spec = parse_spec(config)
    end = START + timedelta(days=SIMULATED_DAYS)
    past = history(slug, start=START, end=end, seed=SEED, events=SIMULATED)
    made = list(islice(past, SIMULATED))
    parser = EventParser(spec)
    events = [parser.parse(item.payload, end.timestamp()) for item in made]
    order = sorted(range(len(events)), key=lambda i: events[i].time)
    events = [events[i] for i in order]
    plan = FeaturePlan(spec)
    vectors = build_many(plan, events, empty_windows(plan, events))
    time = np.array([event.time for event in events])
    fraud = np.array([made[i].is_fraud for i in order], np.int8)
    names = np.array([str(made[i].payload[spec.entity_field]) for i in order])
    amount = np.array([float(event.amount or 0.0) for event in events])
    begin = START.timestamp()
    cuts = (begin + 60 * DAY, begin + 67 * DAY, begin + 87 * DAY)
    rows, risk = score(spec, vectors, time, fraud, cuts)
    entity = np.unique(names, return_inverse=True)[1].astype(np.int64)
    return Scored(time[rows], entity[rows], amount[rows], fraud[rows], risk, spec.costs.capacity)
