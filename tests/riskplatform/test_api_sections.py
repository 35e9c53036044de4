"""The API's own page has headings that say what a route is for."""

import json
import re
from collections import Counter

import pytest

from riskplatform.api_sections import SECTIONS, section_of

pytestmark = pytest.mark.django_db


def test_every_operation_stands_under_one_heading_with_a_summary(client):
    document = json.loads(client.get("/api/schema/", {"format": "json"}).content)
    operations = [one for path in document["paths"].values() for one in path.values()]
    headings = Counter(tag for one in operations for tag in one["tags"])
    assert list(headings.values()) and sum(headings.values()) == len(operations)
    assert set(headings) == {name for name, _, _ in SECTIONS}
    assert [tag["name"] for tag in document["tags"]] == [name for name, _, _ in SECTIONS]
    assert all(one["summary"] and not one["summary"].endswith(".") for one in operations)


def test_each_operation_says_what_it_does_and_no_other(client):
    document = json.loads(client.get("/api/schema/", {"format": "json"}).content)
    told = Counter(one["summary"] for path in document["paths"].values() for one in path.values())
    assert [summary for summary, times in told.items() if times > 1] == []
    assert [summary for summary in told if re.search(r"\b(GET|POST|DELETE)\b", summary)] == []


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("/api/v1/detectors/{slug}/score/batch", "Scoring"),
        ("/api/v1/predict/batch", "Scoring, for clients of earlier services"),
        ("/batch-detect", "Scoring, for clients of earlier services"),
        ("/api/v1/predictions/{id}", "Predictions and feedback"),
        ("/api/v1/models", "Models"),
        ("/api/v1/model/info", "Models"),
        ("/api/v1/detectors/{slug}/train", "Models"),
    ],
)
def test_addresses_that_begin_alike_are_told_apart(path, section):
    assert section_of(path) == section


def test_a_route_without_a_heading_is_noticed():
    with pytest.raises(LookupError, match="/api/v1/news"):
        section_of("/api/v1/news")
