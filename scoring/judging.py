"""The model as the serving process asks it: behind a circuit breaker, and remembered.

A model that keeps failing is left alone for a while: its detector goes on by rules alone, and every
prediction says `degraded`. For a detector without entity windows the same vector gives the same
judgement under one bundle, so the last ones are kept, up to MOST_REMEMBERED a process. The epoch
in the key comes with the serving row: raising `Detector.cache_epoch` empties the cache everywhere.
"""

import logging
import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from scoring import breakers
from scoring.core import pipeline
from scoring.core.bundle import Bundle, Predictor
from scoring.core.pipeline import Judge, Judged
from scoring.core.types import Floats

logger = logging.getLogger(__name__)
MOST_REMEMBERED = 5_000


class Remembered(NamedTuple):
    """What the model said about one vector."""

    score: float
    probability: float | None
    contributions: Floats
    error: float


class PredictionCache:
    """The most recently used judgements of this process, by (bundle, epoch, vector)."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self.most = most
        self.hits = 0
        self.misses = 0
        self._kept: OrderedDict[tuple[str, int, bytes], Remembered] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, keys: list[tuple[str, int, bytes]]) -> list[Remembered | None]:
        """What is known of each, counted as hits and misses."""
        with self._lock:
            found = [self._kept.get(key) for key in keys]
            for key, known in zip(keys, found, strict=True):
                if known is not None:
                    self._kept.move_to_end(key)
            missed = found.count(None)
            self.misses += missed
            self.hits += len(found) - missed
        return found

    def keep(self, key: tuple[str, int, bytes], said: Remembered) -> None:
        """Remember; what was not asked for longest goes."""
        with self._lock:
            self._kept[key] = said
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)

    def clear(self) -> None:
        """Empty, counters at zero."""
        with self._lock:
            self._kept.clear()
            self.hits = self.misses = 0


cache = PredictionCache()


def judge_for(slug: str, bundle: Bundle, epoch: int) -> Judge:
    """`pipeline.judge` for one detector as it serves now, guarded, and cached where it may be."""

    if bundle.overdue:
        return _unasked

    def guarded(predictor: Predictor | None, vectors: Floats) -> Judged | None:
        return _guarded(slug, predictor, vectors)

    def cached(predictor: Predictor | None, vectors: Floats) -> Judged | None:
        if predictor is None:
            return None
        keys = [(bundle.digest, epoch, vector.tobytes()) for vector in vectors]
        known = cache.find(keys)
        missing = [i for i, said in enumerate(known) if said is None]
        if missing:
            judged = _guarded(slug, predictor, vectors[missing])
            if judged is None:
                return None
            for place, i in enumerate(missing):
                known[i] = said = _one(judged, place)
                cache.keep(keys[i], said)
            if len(missing) == len(keys):
                return judged
        return _together([found for found in known if found is not None])

    return guarded if bundle.plan.entities else cached


def _unasked(predictor: Predictor | None, vectors: Floats) -> Judged | None:
    """Nothing: a model past its review date is left alone, and its detector goes on by rules."""
    return None


def _guarded(slug: str, predictor: Predictor | None, vectors: Floats) -> Judged | None:
    if predictor is None:
        return None
    circuit = breakers.breaker(f"model:{slug}")
    if not circuit.allows():
        return None
    try:
        judged = pipeline.judge(predictor, vectors)
    except Exception:  # onnxruntime's errors share no base class but this one.
        logger.exception("the model of %s failed; its rules decide alone", slug)
        judged = None
    if judged is None:
        circuit.failed()
    else:
        circuit.succeeded()
    return judged


def _one(judged: Judged, i: int) -> Remembered:
    return Remembered(
        float(judged.score[i]),
        None if judged.probability is None else float(judged.probability[i]),
        judged.contributions[i].copy(),
        float(judged.error[i]),
    )


def _together(said: list[Remembered]) -> Judged:
    scores, probabilities, contributions, errors = zip(*said, strict=True)
    return Judged(
        score=np.array(scores),
        probability=None if probabilities[0] is None else np.array(probabilities),
        contributions=np.array(contributions),
        error=np.array(errors),
    )
