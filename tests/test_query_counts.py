"""Every page and endpoint that is read has a query budget, which no number of rows changes.

The budgets are `query_counts.json`. After a change that needs other numbers:
`RISK_WRITE_QUERY_COUNTS=1 pytest tests/test_query_counts.py`, and look at the difference.
"""

import json
import os
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.scopes import SCOPES
from benchmarks.addresses import readable_pages
from tests.accounts.factories import key_for
from tests.world import begin_world, grow_world, shown_of

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.landing]
BUDGETS = Path(__file__).parent / "query_counts.json"
FEW, MANY = 2, 12
NOT_PAGES = {
    "metrics": "counts of the process",
    "api_schema": "made from code, no rows",
    "model_export": "a file",
    "queue_export": "a file, read in parts",
    "case_export": "a file, read in parts",
    "case_alerts_export": "a file, read in parts",
    "audit_export": "a file, read in parts",
}


@pytest.fixture
def world(champion, payments_digest, admin):
    return begin_world(champion, payments_digest, admin)


@pytest.fixture
def reader(admin):
    """An admin in the browser who also carries a key, so that pages and endpoints answer."""
    client = Client()
    client.force_login(admin)
    _, secret = key_for(admin, scopes=tuple(SCOPES))
    return client, {"authorization": f"Token {secret}"}


def queries_of(client, address, headers):
    """Of one reading; None where there is nothing to read: a form's target, an answer elsewhere."""
    with CaptureQueriesContext(connection) as queries:
        if client.get(address, headers=headers).status_code != 200:
            return None
    return [query["sql"] for query in queries.captured_queries]


def settled(client, address, headers):
    """The queries of a page that was read before. What is remembered for a minute may have been
    forgotten just then: where two readings differ, a third tells."""
    first = queries_of(client, address, headers)
    if first is None:
        return None
    second = queries_of(client, address, headers)
    if len(first) == len(second):
        return second
    return min(second, queries_of(client, address, headers), key=len)


def counts(world, reader, asked):
    """By name of a page, how many queries reading it takes once it was read; `asked` gets them."""
    client, key = reader
    found = {}
    for name, address in readable_pages(shown_of(world)):
        if name in NOT_PAGES:
            continue
        queries = settled(client, address, key if address.startswith("/api/") else {})
        if queries is not None:
            asked[name], found[name] = queries, len(queries)
    return found


def told(names, asked):
    """The queries of these pages, so that one more than allowed can be found at once."""
    return "\n".join(f"{name}\n  " + "\n  ".join(asked[name]) for name in names)


def test_reading_costs_what_it_may_and_no_more_with_more_rows(world, reader):
    asked = {}
    grow_world(world, FEW)
    few = counts(world, reader, asked)
    grow_world(world, MANY)
    many = counts(world, reader, asked)
    grown = {name: (few[name], n) for name, n in many.items() if n > few.get(name, n)}
    assert grown == {}, f"more queries with more rows: {told(grown, asked)}"
    if os.environ.get("RISK_WRITE_QUERY_COUNTS"):
        BUDGETS.write_text(json.dumps(dict(sorted(many.items())), indent=1) + "\n")
    budgets = json.loads(BUDGETS.read_text())
    assert set(many) == set(budgets), "a page without a budget, or a budget without a page"
    dear = {name: (budgets[name], n) for name, n in many.items() if n > budgets[name]}
    assert dear == {}, f"more queries than the budget: {told(dear, asked)}"
