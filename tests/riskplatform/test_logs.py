"""A request that was refused is a line in the log; what broke has its traceback."""

import logging
import logging.config

import pytest
from django.db import IntegrityError, connection

from riskplatform.logs import WithoutTracebacks, logging_of
from scoring.models import Prediction
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


REFUSED = "null value in column\nDETAIL:  Failing row contains (4, Jane\nDoe, DE89 3704)."


@pytest.fixture
def line():
    """What the console would show of a record."""
    given = logging_of("INFO")["formatters"]["line"]
    formatter = logging.config.DictConfigurator({}).configure_formatter(dict(given))

    def write(message, *values, error=None):
        exc_info = error and (type(error), error, error.__traceback__)
        record = logging.LogRecord("jobs", logging.ERROR, "", 0, message, values, exc_info)
        return formatter.format(record)

    return write


def raised(error):
    try:
        try:
            raise error
        except IntegrityError as inner:
            raise RuntimeError("not stored") from inner
    except RuntimeError as outer:
        return outer


def test_a_traceback_holds_no_row_that_a_database_refused(line):
    text = line("broke", error=raised(IntegrityError(REFUSED)))
    assert "IntegrityError: null value in column" in text
    assert text.endswith("RuntimeError: not stored")
    assert not [word for word in ("DETAIL", "Jane", "Doe", "DE89") if word in text]


@pytest.mark.parametrize("form", ["%s", "%r"])
def test_a_message_holds_no_row_that_a_database_refused(line, form):
    text = line(f"broke: {form}", IntegrityError(REFUSED))
    assert "null value in column" in text
    assert not [word for word in ("DETAIL", "Jane", "Doe", "DE89") if word in text]


POINTED = "syntax\nLINE 1: ('Jane')\n         ^\nDETAIL:  (\"Doe\", it's\r\nDE89\n1)"


def told_within(form):
    try:
        try:
            raise IntegrityError(POINTED)
        except IntegrityError as inner:
            raise ValueError(f"job failed: {form(inner)}, stopped") from inner
    except ValueError as outer:
        return outer


def grouped(error):
    """Raised, and two deep."""
    try:
        raise ExceptionGroup("many", [ExceptionGroup("some", [error]), ValueError("a\nb")])
    except ExceptionGroup as group:
        return group


@pytest.mark.parametrize("said", [REFUSED, POINTED])
def test_the_traceback_of_a_group_holds_no_row_that_a_database_refused(line, said):
    text = line("broke", error=grouped(IntegrityError(said)))
    assert f"IntegrityError: {said.splitlines()[0]}\n" in text
    assert "| ValueError: a\n" in text and "| b\n" in text
    assert not [word for word in ("DETAIL", "LINE", "Jane", "Doe", "DE89", "^\n") if word in text]


@pytest.mark.parametrize("form", [str, repr, lambda error: repr([repr(error)])])
def test_an_error_that_tells_of_a_database_s_holds_no_row(line, form):
    text = line("broke", error=told_within(form))
    assert "ValueError: job failed: " in text and "syntax" in text and text.endswith(", stopped")
    assert not [word for word in ("DETAIL", "LINE", "Jane", "Doe", "DE89") if word in text]


FOREIGN = [
    "DÉTAIL : ",
    "DETALLE:  ",
    "KONTEXT:  ",
    "LIGNE 1 : ",
    "ПОДРОБНОСТИ:  ",
    "行 1: ",
    "第1行",
]


@pytest.mark.parametrize("word", FOREIGN)
@pytest.mark.parametrize("form", ["%s", "%r"])
def test_a_text_holds_no_row_in_another_language_of_postgresql(line, word, form):
    said = form % IntegrityError(f"refused\n{word}(4, Jane Doe)")
    assert line("broke: %s", said).endswith("refused")


def test_a_message_holds_no_row_in_a_language_that_nobody_foresaw(line):
    error = IntegrityError("refused\nPODROBNOSTI: (4, Jane Doe)")
    assert line("broke: %s", error).endswith("broke: refused")
    assert "Jane" not in line("broke: %r", repr(error), error=error)


def test_a_row_of_backslashes_takes_no_time(line):
    error = IntegrityError("refused\nDETAIL:  " + "\\" * 60 + "Jane")
    assert line("broke: %s", repr(error)[:-3], error=error).endswith("IntegrityError: refused")


def test_behind_the_first_line_of_a_very_long_error_nothing_is_told(line):
    error = IntegrityError("refused\n" + "DETAIL:  (Jane Doe)\n" * 5000)
    found = line("broke: %s, at the till of Jane Doe", error, error=error)
    assert "refused" in found
    assert "Jane" not in found


def test_what_is_no_database_s_keeps_all_its_lines(line):
    assert line("broke", error=ValueError("first\nsecond")).endswith("ValueError: first\nsecond")


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL")
@pytest.mark.parametrize("at", ["id", "event"])
def test_what_postgresql_says_of_a_refused_row_is_not_logged(line, at):
    table = Prediction._meta.db_table
    values = {"id": "NULL, '[\"DE89 3704\"]'", "event": "gen_random_uuid(), '{DE89 3704'"}[at]
    with pytest.raises(Exception, match="DE89") as caught, connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} (id, event) VALUES ({values})")  # noqa: S608
    text = line("broke: %s", caught.value, error=caught.value)
    assert type(caught.value).__name__ in text
    assert "DE89" not in text
