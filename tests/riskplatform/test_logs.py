"""A request that was refused is a line in the log; what broke has its traceback."""

import logging

import pytest

from riskplatform.logs import WithoutTracebacks
from tests.accounts.factories import UserFactory

PAGE = "/models/"


@pytest.mark.django_db
def test_a_refused_page_is_logged_in_one_line(client, caplog):
    client.force_login(UserFactory())
    assert client.get(PAGE).status_code == 403
    records = [record for record in caplog.records if record.name == "django.request"]
    assert [record.exc_info for record in records] == [None]
    assert PAGE in records[0].getMessage()
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("given", [{"status_code": 500}, {}])
def test_what_broke_keeps_its_traceback(given):
    error = (ValueError, ValueError("broken"), None)
    record = logging.LogRecord("django.request", logging.ERROR, "", 0, "", (), error)
    record.__dict__ |= given
    assert WithoutTracebacks().filter(record)
    assert record.exc_info is error
