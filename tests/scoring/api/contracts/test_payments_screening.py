"""What an answer says of the sanctions lists that its name was held to."""

import pytest

from scoring.answers import detect_answer
from scoring.recording import screening_hit_body
from scoring.standing_in import NOT_SCREENED
from tests.factories import payment, scored
from tests.scoring.api.contracts.test_payments import take_in_ofac, take_in_un

pytestmark = pytest.mark.django_db
DETECT, BATCH = "/detect", "/batch-detect"


def test_an_answer_says_that_no_list_was_ever_loaded(post, champion):
    nothing = {"status": "none", "missing_lists": ["ofac_sdn", "un"], "unknown_country": False}
    body = post(DETECT, payment(transaction_id="t-1")).json()
    assert (body["sanctions_alerts"], body["screening"]) == ([], nothing)
    assert [row["screening"] for row in post(BATCH, [payment()]).json()] == [nothing]
    assert post("/api/v1/detectors/payments/score", payment()).json()["screening"] == nothing


def test_an_answer_says_which_lists_its_name_was_screened_against(post, champion, tmp_path):
    before = post(DETECT, sent := payment(transaction_id="t-1")).json()["screening"]
    take_in_ofac(tmp_path)
    partial = {"status": "partial", "missing_lists": ["un"], "unknown_country": False}
    assert post(DETECT, payment(transaction_id="t-2")).json()["screening"] == partial
    assert post(DETECT, sent).json()["screening"] == before  # As it was when it was decided.
    take_in_un(tmp_path)
    complete = {"status": "complete", "missing_lists": [], "unknown_country": False}
    assert post(DETECT, payment(transaction_id="t-3")).json()["screening"] == complete


def test_lists_that_could_not_be_read_were_not_screened_against(champion, tmp_path):
    take_in_ofac(tmp_path)
    row = scored("payments", payment())
    row.screening_hits = [screening_hit_body(NOT_SCREENED)]
    nothing = {"status": "none", "missing_lists": ["ofac_sdn", "un"], "unknown_country": False}
    assert detect_answer(row)["screening"] == nothing


@pytest.mark.parametrize(
    ("country", "unknown"),
    [("XX", True), ("EU", True), ("DE", False), ("de", False), (None, False)],
)
def test_an_answer_says_that_its_country_is_none(post, champion, country, unknown):
    answer = post(DETECT, payment(country=country))
    assert answer.status_code == 200
    assert answer.json()["screening"]["unknown_country"] is unknown
