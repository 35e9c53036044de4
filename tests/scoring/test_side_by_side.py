"""A screening hit beside its event: the same parts marked, the given name masked until revealed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.core.screening import ListScreener
from scoring.core.spec import parse_spec
from scoring.models import Prediction
from scoring.recording import screening_hit_body
from scoring.side_by_side import compared_hits, mark_words
from tests.factories import config_of, payment, scored
from tests.scoring.core.screening_lists import index_of

NAME = "Rodion Romanowitsch Rasskolnikoff"
words = st.text(st.sampled_from("abcdeé -'"), max_size=30)


@given(words, words)
def test_marking_keeps_every_written_word(text, other):
    assert [word for word, _ in mark_words(text, [other])] == text.split()


@given(words)
def test_a_name_is_the_same_as_itself(text):
    marks = {mark for word, mark in mark_words(text, [text]) if any(map(str.isalnum, word))}
    assert marks <= {"same"}


def test_case_and_accents_are_no_difference_and_a_slip_is_close():
    assert mark_words("ANDRÉ Kahn Smith", ["Andre Khan"]) == [
        ("ANDRÉ", "same"), ("Kahn", "close"), ("Smith", ""),
    ]  # fmt: skip


@pytest.fixture
def matched(payments_detector):
    """A prediction whose name a list holds, and the declaration that screened it."""
    config = config_of("payments")
    config["screening"] = {"name": "user_name", "country": "country", "lists": ["test_list"]}
    spec = parse_spec(config)
    row = scored("payments", payment(user_name=NAME, country="DE"))
    fields = {"user_name": NAME, "country": "DE"}
    hits = ListScreener(spec.screening, index_of()).screen(fields)
    stored = [screening_hit_body(hit) for hit in hits if hit.kind == "name"]
    Prediction.objects.filter(pk=row.pk).update(screening_hits=stored)
    row.refresh_from_db()
    return row, spec


@pytest.mark.django_db
def test_the_lists_words_are_marked_while_the_given_name_is_masked(matched):
    row, spec = matched
    (hit,) = compared_hits(row, spec)
    assert hit.masked
    assert hit.lines[0].given == [("••••koff", "")]
    assert dict(hit.lines[0].listed)["Rodion"] == "same"


@pytest.mark.django_db
def test_revealed_both_names_stand_beside_each_other(matched):
    row, spec = matched
    (hit,) = compared_hits(row, spec, reveal=True)
    assert not hit.masked
    assert dict(hit.lines[0].given) == {
        "Rodion": "same", "Romanowitsch": "same", "Rasskolnikoff": "close",
    }  # fmt: skip


@pytest.mark.django_db
def test_the_country_is_compared_with_its_verdict(matched):
    row, spec = matched
    (hit,) = compared_hits(row, spec)
    country = next(line for line in hit.lines if line.name == "country")
    assert (country.given, country.listed) == ([("DE", "")], [("RU", "")])
    assert country.said == "contradicts"


@pytest.mark.django_db
def test_a_country_hit_has_no_names_to_compare(payments_detector):
    row = scored("payments", payment())
    row.screening_hits = [{"kind": "country", "list_name": "embargoed", "text": "x"}]
    (hit,) = compared_hits(row, None)
    assert hit.lines == [] and not hit.masked


@pytest.mark.django_db
def test_a_match_tells_its_exact_score_its_programs_and_births_as_people_write_them(matched):
    row, spec = matched
    [stored] = row.screening_hits
    births = [["1961-01-01", "1961-12-31"], ["1963-01-01", "1965-12-31"], ["1964-09-18"] * 2]
    detail = {**stored["detail"], "programs": "SDGT] [CAR", "listed_births": births}
    row.screening_hits = [{**stored, "score": 0.9683, "detail": detail}]
    (found,) = compared_hits(row, spec)
    assert found.hit["programs"] == ["SDGT", "CAR"]
    assert {line.name: line.said for line in found.lines}["name"] == "96.83 %"
    listed = {line.name: line.listed for line in found.lines}["born"]
    assert listed[0][0] == "1961, 1963 to 1965, 1964-09-18"
