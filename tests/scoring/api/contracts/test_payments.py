"""Contract D: `/detect` and `/batch-detect`."""

import json

import pytest

from accounts import vault
from scoring.answers import detect_answer
from scoring.api.serializers import ScreeningHitBody
from scoring.models import Prediction
from scoring.recording import screening_hit_body
from scoring.screened import screening_hits
from scoring.standing_in import NOT_SCREENED
from scoring.watchlists import sync_watchlist
from tests.accounts.factories import key_for
from tests.factories import payment, scored

pytestmark = pytest.mark.django_db
DETECT, BATCH = "/detect", "/batch-detect"


def take_in_ofac(folder):
    """A list of one party with an alias."""
    empty = ",".join(["-0- "] * 7)
    row = f'1,"PIKE, Zebulon","individual","TEST",{empty},"-0- "\r\n'
    (folder / "sdn.csv").write_text(row)
    (folder / "alt.csv").write_text('1,1,"aka","NOBODY, Else",-0- \r\n')
    sync_watchlist(str(folder))


def take_in_un(folder):
    """A list of one person."""
    person = "<DATAID>7</DATAID><FIRST_NAME>Zebulon</FIRST_NAME><SECOND_NAME>PIKE</SECOND_NAME>"
    people = f"<INDIVIDUALS><INDIVIDUAL>{person}</INDIVIDUAL></INDIVIDUALS>"
    (folder / "un.xml").write_text(f"<CONSOLIDATED_LIST>{people}</CONSOLIDATED_LIST>")
    sync_watchlist(str(folder / "un.xml"))


def big(**changed):
    """25,000 at three in the morning, local time."""
    return payment(amount=25_000.0, timestamp="2020-06-01T03:00:00+02:00") | changed


def fields_of(response):
    assert response.status_code == 422, response.content
    return sorted(entry["field"] for entry in response.json()["errors"])


def test_a_payment_gets_the_whole_answer(post, champion):
    sent = payment(transaction_id="t-1", country="DE", mcc_code="5411")
    response = post(DETECT, sent)
    assert response.status_code == 200, response.content
    body = response.json()
    assert body["transaction_id"] == "t-1"
    assert 0 <= body["risk_score"] <= 1
    assert body["risk_level"] in ("LOW", "MEDIUM", "HIGH")
    assert body["recommendation"] == "APPROVE"
    assert (body["reason_codes"], body["reason_details"]) == ([], {})
    assert body["sanctions_alerts"] == []


def test_the_explanation_has_a_summary_and_contributions(post, champion):
    explained = post(DETECT, big()).json()["explainability"]
    assert explained["summary"].endswith(".")
    assert explained["contributions"]
    assert set(explained["contributions"][0]) == {"feature", "value", "contribution"}


def test_what_may_be_left_out_may_be_null(post, champion):
    sent = payment(transaction_id="t-1", user_name=None)
    nothing = dict.fromkeys(["user_name", "country", "mcc_code", "device_id", "currency"])
    answers = [post(DETECT, sent).json(), post(DETECT, sent | nothing).json()]
    answers += post(BATCH, [sent | nothing]).json()
    assert answers == [answers[0]] * 3
    assert answers[0]["transaction_id"] == "t-1"


def test_25000_at_three_fires_both_rules(post, champion):
    body = post(DETECT, big()).json()
    assert {"HIGH_AMOUNT", "UNUSUAL_HOUR"} <= set(body["reason_codes"])
    assert set(body["reason_details"]) == set(body["reason_codes"])
    assert all(body["reason_details"].values())
    assert body["recommendation"] in ("REVIEW", "BLOCK")
    assert body["risk_level"] == "HIGH"
    assert body["risk_score"] > 0.7


def test_the_hour_is_that_of_the_transactions_own_time_zone(post, champion):
    at_noon_there = big(timestamp="2020-06-01T03:00:00-09:00", transaction_id="a")
    at_three_there = big(timestamp="2020-06-01T12:00:00+09:00", transaction_id="b")
    assert "UNUSUAL_HOUR" in post(DETECT, at_noon_there).json()["reason_codes"]
    assert "UNUSUAL_HOUR" not in post(DETECT, at_three_there).json()["reason_codes"]


def test_the_fourth_payment_in_a_minute_from_two_cities_is_blocked(post, champion):
    cities = ("Berlin", "Paris", "Berlin", "Paris")
    answers = [
        post(DETECT, payment(timestamp=f"2020-06-01T12:00:{10 * i:02d}Z", location=city)).json()
        for i, city in enumerate(cities)
    ]
    fired = ["VELOCITY_MULTI_CITY" in body["reason_codes"] for body in answers]
    assert fired == [False, False, False, True]
    assert answers[3]["recommendation"] == "BLOCK"
    assert answers[3]["risk_score"] >= 0.9


@pytest.mark.parametrize(
    ("seconds", "cities"), [((0, 10, 20, 61), ("Berlin", "Paris")), ((0, 1, 2, 3), ("Berlin",))]
)
def test_slower_or_in_one_city_is_no_velocity(post, champion, seconds, cities):
    for i, second in enumerate(seconds):
        stamp = f"2020-06-01T12:{second // 60:02d}:{second % 60:02d}Z"
        body = post(DETECT, payment(timestamp=stamp, location=cities[i % len(cities)])).json()
    assert "VELOCITY_MULTI_CITY" not in body["reason_codes"]


@pytest.mark.parametrize("code", ["7995", "6051", "4829", "5944", "5967"])
def test_a_high_risk_merchant_category_is_told(post, champion, code):
    body = post(DETECT, payment(mcc_code=code, amount=5000.0)).json()
    assert "HIGH_RISK_MCC" in body["reason_codes"]


def test_a_bigger_risk_scores_higher(post, champion):
    assert post(DETECT, big()).json()["risk_score"] > post(DETECT, payment()).json()["risk_score"]


def test_the_same_payment_again_gives_the_same_answer_and_another_is_409(post, champion):
    sent = payment()
    first = post(DETECT, sent)
    assert post(DETECT, sent).json() == first.json()
    assert post(DETECT, sent | {"amount": 1.0}).status_code == 409


def test_the_answer_is_that_of_the_stored_prediction(post, champion):
    body = post(DETECT, big()).json()
    assert detect_answer(Prediction.objects.get()) == body


def test_the_answer_holds_no_personal_data(post, champion):
    text = post(DETECT, payment(user_name="Grace Hopper", user_id="grace-1")).content.decode()
    assert "Grace" not in text
    assert "grace-1" not in text


def test_without_a_model_rules_decide_and_the_answer_says_so(post, payments_detector):
    body = post(DETECT, big()).json()
    assert body["degraded"] is True
    assert body["recommendation"] == "REVIEW"
    assert 0 <= body["risk_score"] <= 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("transaction_id", ""),
        ("transaction_id", "x" * 101),
        ("transaction_id", None),
        ("user_id", 7),
        ("amount", -0.01),
        ("amount", "much"),
        ("amount", 1e300),
        ("location", ""),
        ("timestamp", "yesterday"),
        ("timestamp", "2020-02-30T00:00:00Z"),
        ("timestamp", "1900-01-01T00:00:00Z"),
        ("timestamp", "9999-12-31T23:59:59Z"),
        ("timestamp", 1590969600),
        ("merchant_type", None),
        ("user_name", "x" * 201),
        ("country", "Germany"),
        ("mcc_code", "123456789"),
    ],
)
def test_a_wrong_field_is_422_and_stores_nothing(post, champion, field, value):
    assert fields_of(post(DETECT, payment() | {field: value})) == [field]
    assert not Prediction.objects.exists()


@pytest.mark.parametrize(("url", "place"), [(DETECT, ""), (BATCH, "0.")])
def test_a_number_that_is_none_is_named_with_all_else_that_is_wrong(post, champion, url, place):
    event = json.dumps(payment(transaction_id=None, country="DEU")).replace('"Berlin"', "NaN")
    body = event if url == DETECT else f"[{event}]"
    wrong = ("country", "location", "transaction_id")
    assert fields_of(post(url, body)) == [f"{place}{name}" for name in wrong]
    assert not Prediction.objects.exists()


def test_an_amount_of_zero_is_fine(post, champion):
    assert post(DETECT, payment(amount=0)).status_code == 200


def test_a_batch_answers_in_its_order(post, champion):
    events = [payment(transaction_id=f"b-{i}", amount=float(i)) for i in (3, 1, 2)]
    response = post(BATCH, events)
    assert response.status_code == 200, response.content
    assert [body["transaction_id"] for body in response.json()] == ["b-3", "b-1", "b-2"]
    assert Prediction.objects.count() == 3


def test_an_empty_batch_is_an_empty_list(post, champion):
    response = post(BATCH, [])
    assert (response.status_code, response.json()) == (200, [])


def test_100_are_a_batch_and_101_are_400(post, champion):
    events = [payment() for _ in range(101)]
    response = post(BATCH, events)
    assert response.status_code == 400
    assert "100" in response.json()["detail"]
    assert not Prediction.objects.exists()
    assert len(post(BATCH, events[:100]).json()) == 100


def test_a_bad_payment_fails_its_batch_and_nothing_is_stored(post, champion):
    response = post(BATCH, [payment(), payment(amount=-1, country="DEU"), "text"])
    assert fields_of(response) == ["1.amount", "1.country", "2"]
    assert response.json()["errors"][0]["loc"][0] == 1
    assert not Prediction.objects.exists()


def test_nor_is_anything_stored_where_one_holds_a_sealed_text(post, champion):
    sealed = vault.encrypt("Erika Mustermann")
    response = post(BATCH, [payment(), payment(location=sealed)])
    assert fields_of(response) == ["1.location"]
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("body", [{}, {"transactions": []}, "text", 3])
def test_a_batch_that_is_no_list_is_422(post, champion, body):
    assert post(BATCH, json.dumps(body)).status_code == 422


def test_what_an_earlier_service_passed_over_is_passed_over(post, champion):
    more = {"meta": {"app": "2.1"}, "tags": ["a"]}
    assert post(DETECT, payment() | more).status_code == 200
    assert post(BATCH, [payment(transaction_id="t-9") | more]).status_code == 200
    assert all("meta" not in row.event for row in Prediction.objects.all())
    for odd in ({"meta": {"app": "\0"}}, {"location": {"city": "Berlin"}}):
        answer = post(DETECT, payment(transaction_id="t-8") | odd)
        assert [error["field"] for error in answer.json()["errors"]] == list(odd)


def test_to_pass_over_asks_the_database_nothing_for_each_event(
    post, champion, django_assert_max_num_queries
):
    more = {"meta": {"app": "2.1"}}
    post(BATCH, [payment(transaction_id="t-0") | more])
    with django_assert_max_num_queries(20):
        post(BATCH, [payment(transaction_id=f"t-{i}") | more for i in range(1, 31)])


def test_one_id_twice_in_a_batch_with_another_body_is_409(post, champion):
    events = [payment(transaction_id="dup"), payment(transaction_id="dup", amount=2.0)]
    response = post(BATCH, events)
    assert response.status_code == 409
    assert "dup" in response.json()["detail"]


@pytest.mark.parametrize(("url", "body"), [(DETECT, big()), (BATCH, [big()])])
def test_who_may_not_score_is_refused(post, client, api, outsider, analyst, champion, url, body):
    assert post(url, body, client=client).status_code == 401
    assert post(url, body, client=api("predictions:read")).status_code == 403
    for user in (outsider, analyst):
        client.force_login(user)
        assert post(url, body, client=client).status_code == 403
    assert not Prediction.objects.exists()


def test_an_x_api_key_opens_it_too(client, post, champion, engineer):
    _, secret = key_for(engineer, scopes=("score",))
    client.defaults["HTTP_X_API_KEY"] = secret
    assert post(DETECT, payment(), client=client).status_code == 200


def name_hit(**changed):
    """A hit of the screening as it is stored."""
    return {
        "kind": "name",
        "list_name": "ofac_sdn",
        "entry": "7157",
        "matched": "DOE, Jane",
        "score": 0.97,
        "severity": "CRITICAL",
        "outcome": "BLOCK",
        "text": "The name matches DOE, Jane on ofac_sdn.",
    } | changed


def test_hits_of_the_screening_become_alerts_and_reasons(champion):
    prediction = scored("payments", payment())
    country = name_hit(kind="country", list_name="embargoed", outcome="BLOCK", text="Embargoed.")
    prediction.screening_hits = [name_hit(), country]
    prediction.decision, prediction.risk_level = "BLOCK", "CRITICAL"
    body = detect_answer(prediction)
    assert body["sanctions_alerts"][0] == {
        "type": "name",
        "severity": "CRITICAL",
        "list_name": "ofac_sdn",
        "matched_entry": "DOE, Jane",
        "description": "The name matches DOE, Jane on ofac_sdn.",
        "risk_score": 0.97,
    }
    assert body["reason_codes"] == ["SANCTIONS_MATCH", "HIGH_RISK_COUNTRY"]
    assert body["risk_score"] > 0.95
    assert (body["risk_level"], body["recommendation"]) == ("HIGH", "BLOCK")


def test_lists_that_could_not_be_read_are_no_match(champion):
    row = scored("payments", payment())
    row.screening_hits, row.decision = [screening_hit_body(NOT_SCREENED)], "REVIEW"
    assert detect_answer(row)["reason_codes"] == ["NOT_SCREENED"]
    assert NOT_SCREENED.kind in ScreeningHitBody().fields["kind"].choices
    assert [hit["list"] for hit in screening_hits(row)] == ["Sanctions lists"]


def test_the_summary_names_the_allow_list_that_approved_it(champion):
    row = scored("payments", big())
    row.list_hits = [{"entry_id": 1, "kind": "allow", "field": "device_id", "reason": "Own shop"}]
    row.decision = "APPROVE"
    said = detect_answer(row)["explainability"]["summary"]
    assert said.startswith("Nothing asks for a human: device_id is on the allow list: Own shop; ")
    row.decision = "BLOCK"
    assert "allow list" not in detect_answer(row)["explainability"]["summary"]


def test_a_summary_without_a_model_says_what_decided_instead(payments_detector):
    said = detect_answer(scored("payments", big()))["explainability"]["summary"]
    assert "(no model scored it: rules, lists and screening decided)" in said


def test_beyond_the_keys_rate_it_is_429_and_says_when(client, post, champion, engineer):
    _, secret = key_for(engineer, scopes=("score",), rate="2/min")
    client.defaults["HTTP_AUTHORIZATION"] = f"Token {secret}"
    statuses = [post(DETECT, payment(), client=client).status_code for _ in range(2)]
    response = post(DETECT, payment(), client=client)
    assert (statuses, response.status_code) == ([200, 200], 429)
    assert 0 < int(response["Retry-After"]) <= 60


@pytest.mark.parametrize("url", [DETECT, BATCH])
def test_a_body_over_the_limit_is_413(post, champion, settings, url):
    settings.API_MAX_BODY_BYTES = 1000
    assert post(url, json.dumps(payment(location="x" * 1000))).status_code == 413


@pytest.mark.parametrize(
    "kind",
    [
        *("gambling", "Online Gambling", "money services", "money-services", "MONEY_SERVICES"),
        *("high-value goods", "high value goods", "adult entertainment", "crypto exchange"),
        *("Money Services Business", "money service", "remittance", "jewelry_store", "high_value"),
        *("OnlineGambling", "onlinegambling", "CryptoExchange", "MoneyServices"),
        *("online casino", "casino online", "sports_betting", "HIGH-VALUE-GOODS"),
    ],
)
def test_a_risky_kind_of_merchant_is_known_however_it_is_written(post, payments_detector, kind):
    assert "HIGH_RISK_MCC" in post(DETECT, payment(merchant_type=kind)).json()["reason_codes"]


@pytest.mark.parametrize(
    "kind", ["young adults clothing", "cryptography books", "money", "bank_transfer", "valuehigh"]
)
def test_a_merchant_whose_kind_only_looks_risky_is_left_alone(post, payments_detector, kind):
    assert "HIGH_RISK_MCC" not in post(DETECT, payment(merchant_type=kind)).json()["reason_codes"]


def test_a_risky_category_is_known_with_blanks_around_it(post, payments_detector):
    answer = post(DETECT, payment(merchant_type="shop", mcc_code=" 7995 ")).json()
    assert "HIGH_RISK_MCC" in answer["reason_codes"]


def test_the_same_payment_in_other_words_is_the_same_payment(post, payments_detector):
    sent = payment(transaction_id="t-1", amount=100)
    first = post(DETECT, sent).json()
    for again in (sent | {"amount": 100.0}, sent | {"country": None}):
        answer = post(DETECT, again)
        assert answer.status_code == 200, answer.content
        assert answer.json()["prediction_id"] == first["prediction_id"]
    assert post(DETECT, sent | {"amount": 100.01}).status_code == 409
