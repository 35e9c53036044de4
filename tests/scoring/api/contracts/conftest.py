"""Trained champions of the contracts' detectors, and clients that may call them."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from django.test import Client

from scoring import deployment
from scoring.core.bundle import write_bundle
from scoring.models import Detector
from tests.factories import config_of, shipped_detector, train_bundle

Post = Callable[..., Any]


@pytest.fixture
def post(api: Callable[..., Client]) -> Post:
    """`post("/detect", body)` with a key that may score; `client=` for somebody else."""
    scoring = api("score")

    def send(url: str, body: object, *, client: Client | None = None) -> Any:
        data = body if isinstance(body, bytes | str) else json.dumps(body)
        return (client or scoring).post(url, data, content_type="application/json")

    return send


def served(slug: str, digest: str) -> Detector:
    """The shipped detector with that champion."""
    detector = shipped_detector(slug)
    deployment.install(detector, slot="champion", digest=digest, version="v1")
    return detector


def frauds(rows: int) -> tuple[list[dict[str, Any]], Any]:
    """Transactions of which the large ones from gaming, soon after the last, are fraud."""
    rng = np.random.default_rng(3)
    risky = rng.random(rows) < 0.2
    raws = [
        {
            "transaction_amount": float(np.exp(rng.normal(8.0 if bad else 3.5, 1.0))),
            "merchant_type": str(rng.choice(["gaming", "travel"] if bad else ["grocery", "fuel"])),
            "country": str(rng.choice(["NG", "US"] if bad else ["US", "DE"])),
            "time_delta": float(rng.exponential(1.0 if bad else 30.0)),
            "device_type": str(rng.choice(["mobile", "desktop", "tablet"])),
        }
        for bad in risky
    ]
    return raws, risky.astype(int)


def samples(rows: int) -> tuple[list[dict[str, Any]], Any]:
    """Samples of hosts, a few of them in trouble."""
    rng = np.random.default_rng(4)
    troubled = rng.random(rows) < 0.2
    raws = [
        {
            "response_time": float(rng.normal(900 if bad else 120, 20)),
            "error_rate": float(np.clip(rng.normal(0.12 if bad else 0.01, 0.01), 0, 1)),
            "cpu_usage": float(np.clip(rng.normal(90 if bad else 40, 4), 0, 100)),
            "memory_usage": float(np.clip(rng.normal(85 if bad else 55, 4), 0, 100)),
        }
        for bad in troubled
    ]
    return raws, troubled.astype(int)


def cards(rows: int) -> tuple[list[dict[str, Any]], Any]:
    """Rows of the public layout, in which V14 tells."""
    rng = np.random.default_rng(5)
    bad = rng.random(rows) < 0.2
    values = rng.normal(size=(rows, 28))
    values[:, 13] -= 4.0 * bad
    raws = [
        {
            "transaction_id": f"train-{i}",
            "Time": float(60 * i),
            "Amount": float(rng.exponential(80)),
            **{f"V{j + 1}": float(v) for j, v in enumerate(values[i])},
        }
        for i in range(rows)
    ]
    return raws, bad.astype(int)


def named_cards(rows: int) -> tuple[list[dict[str, Any]], Any]:
    """Records of contract B's own detector: large amounts at night are fraud."""
    rng = np.random.default_rng(6)
    bad = rng.random(rows) < 0.2
    raws = [
        {
            "entity_id": f"card-{rng.integers(50)}",
            "amount": float(np.exp(rng.normal(6.5 if risky else 3.5, 0.5))),
            "merchant_category": str(rng.choice(["electronics" if risky else "grocery", "travel"])),
            "time_of_day": f"{int(rng.integers(0, 5) if risky else rng.integers(7, 23)):02d}:30",
        }
        for risky in bad
    ]
    return raws, bad.astype(int)


MAKERS = {
    "fraud": frauds,
    "anomaly": samples,
    "creditcard": cards,
    "credit_card_fraud": named_cards,
}


@pytest.fixture(scope="session")
def trained() -> Callable[[str], str]:
    """`trained("fraud")` is the digest of a small bundle, trained once a session."""
    digests: dict[str, str] = {}

    def digest_of(slug: str) -> str:
        if slug not in digests:
            raws, labels = MAKERS[slug](600)
            manifest, files = train_bundle(config_of(slug), raws, labels)
            digests[slug] = write_bundle(deployment.bundle_root(), manifest, files)
        return digests[slug]

    return digest_of


@pytest.fixture
def fraud_champion(db: None, trained: Callable[[str], str]) -> Detector:
    return served("fraud", trained("fraud"))


@pytest.fixture
def anomaly_champion(db: None, trained: Callable[[str], str]) -> Detector:
    return served("anomaly", trained("anomaly"))


@pytest.fixture
def creditcard_champion(db: None, trained: Callable[[str], str]) -> Detector:
    return served("creditcard", trained("creditcard"))


@pytest.fixture
def named_champion(db: None, trained: Callable[[str], str]) -> Detector:
    return served("credit_card_fraud", trained("credit_card_fraud"))
