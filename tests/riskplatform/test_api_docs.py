"""The API's schema: for anybody, and made once, so that asking for it holds nobody up."""

import json

import pytest
import yaml
from django.urls import reverse

from riskplatform import api_docs

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(monkeypatch):
    """How often the schema was made."""
    times = []
    made = api_docs.SchemaGenerator.get_schema
    monkeypatch.setattr(
        api_docs.SchemaGenerator,
        "get_schema",
        lambda self, **asked: times.append(1) or made(self, **asked),
    )
    api_docs._schema_as.cache_clear()
    return times


def test_the_schema_is_made_once_whoever_asks_and_however(client, admin, made):
    address = reverse("api_schema")
    first = client.get(address)
    client.force_login(admin)
    again = [client.get(address), client.get(address, {"version": "7", "lang": "de", "x": "y"})]
    assert {answer.content for answer in again} == {first.content}
    assert len(made) == 1


def test_it_comes_as_yaml_or_json(client):
    address = reverse("api_schema")
    plain = client.get(address)
    assert plain["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert plain["Content-Disposition"] == 'inline; filename="riskplatform.yaml"'
    asked = client.get(address, headers={"accept": "application/json"})
    assert asked["Content-Type"] == "application/json"
    assert json.loads(asked.content) == yaml.safe_load(plain.content)


def test_nothing_of_the_address_gets_into_its_headers(client):
    answer = client.get(reverse("api_schema"), {"version": "a\r\nSet-Cookie: b"})
    assert (answer.status_code, answer.cookies) == (200, {})
