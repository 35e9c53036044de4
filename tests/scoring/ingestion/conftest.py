"""What the tests of all streams read: samples of hosts, and a source of them."""

import pytest

from scoring.source_models import Source
from tests.factories import shipped_detector

SAMPLE = {"response_time": 950.0, "error_rate": 0.12, "cpu_usage": 91.0, "memory_usage": 87.0}


@pytest.fixture
def anomaly_detector(db):
    return shipped_detector("anomaly")


@pytest.fixture
def hosts(anomaly_detector):
    """A source of samples whose schema allows nothing that it does not name."""
    numbers = {f"{name}_now": {"type": "number"} for name in SAMPLE}
    return Source.objects.create(
        slug="hosts",
        name="Hosts",
        source_type="mqtt",
        config={"topic": "hosts/+", "host": "broker"},
        schema={
            "type": "object", "properties": {"number": {"type": ["string", "null"]}} | numbers,
            "additionalProperties": False,
        },
        detector=anomaly_detector,
        mapping={name: f"{name}_now" for name in SAMPLE},
    )  # fmt: skip
