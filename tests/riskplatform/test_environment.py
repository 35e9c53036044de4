"""Values of the environment: what is taken, and what is refused by name."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from riskplatform.environment import NOTICED, SQLITE, Environment


@pytest.mark.parametrize("text", ["true", "TRUE", "1", "Yes", " on "])
def test_a_flag_is_on(text):
    assert Environment({"X": text}).flag("X", default=False) is True


@pytest.mark.parametrize("text", ["false", "False", "0", "no", "OFF"])
def test_a_flag_is_off(text):
    assert Environment({"X": text}).flag("X", default=True) is False


@pytest.mark.parametrize("text", ["ture", "2", "y", "enabled", "true,", '"true"', "'false'"])
def test_any_other_flag_is_refused(text):
    with pytest.raises(ImproperlyConfigured, match="X"):
        Environment({"X": text}).flag("X", default=True)


@pytest.mark.parametrize("default", [True, False])
def test_a_flag_set_to_nothing_is_as_it_was(default):
    assert Environment({"X": " "}).flag("X", default=default) is default


@pytest.mark.parametrize("text", ["0", "11", "1.5", "nan", "many"])
def test_a_whole_number_keeps_within_its_range(text):
    assert Environment({"X": "10"}).whole("X", default=3, least=1, most=10) == 10
    with pytest.raises(ImproperlyConfigured, match="X must be a whole number from 1 to 10"):
        Environment({"X": text}).whole("X", default=3, least=1, most=10)


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "1e9"])
def test_a_number_is_finite_and_within_its_range(text):
    with pytest.raises(ImproperlyConfigured, match=r"X must be a number from 0\.0 to 1\.0"):
        Environment({"X": text}).number("X", default=0.5, least=0.0, most=1.0)


def test_what_has_no_default_must_be_there():
    with pytest.raises(ImproperlyConfigured, match="X must be set"):
        Environment({"X": ""})("X")


def test_a_value_stays_as_it_is_written():
    given = {"X": "$HOME", "Y": "", "Z": '"Risk" <risk@example.com>'}
    env = Environment(given, may_be_empty={"Y"})
    assert (env("X"), env("Y", default="5"), env("Z")) == tuple(given.values())


def test_a_server_of_databases_that_is_cut_off_is_noticed():
    address = "postgres://risk:secret@host/risk"
    found = Environment({"X": f"{address}?connect_timeout=9&sslmode=require"}).database("X")
    assert found["OPTIONS"] == NOTICED | {"connect_timeout": 9, "sslmode": "require"}
    assert Environment({"X": address}).database("X")["OPTIONS"] == NOTICED
    assert "OPTIONS" not in Environment({"X": "sqlite:////tmp/risk.db"}).database("X")


def test_a_file_of_sqlite_is_written_by_turns():
    assert Environment({"X": "sqlite:////tmp/risk.db"}).database("X")["ENGINE"] == SQLITE


def test_a_secret_is_not_repeated():
    for read in (lambda env: env("X"), lambda env: env.database("X")):
        with pytest.raises(ImproperlyConfigured) as refusal:
            read(Environment({"X": "'postgres://risk:s3cret@host/risk'"}))
        assert "s3cret" not in str(refusal.value)


def test_items_are_what_stands_between_commas():
    assert Environment({"X": " a, b,"}).items("X") == ["a", "b"]
    assert Environment({}).items("X", default=[]) == []
    with pytest.raises(ImproperlyConfigured, match="X"):
        Environment({"X": " , "}).items("X", default=["*"])


@pytest.mark.parametrize("text", ["risk.db", "postgres://risk@host:port/risk", "oracel://host/x"])
def test_what_is_no_address_of_our_databases_is_refused(text):
    with pytest.raises(ImproperlyConfigured, match="X must be like postgres"):
        Environment({"X": text}).database("X")
