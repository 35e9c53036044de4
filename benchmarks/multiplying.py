"""The demo's own rows, copied entity by entity until a PostgreSQL database is full."""

from typing import Any

from django.db import connection
from django.db.models import Model

from accounts.models import User
from cases.models import Alert, AlertPrediction, Case, CaseEvent, Touch
from cases.queue_models import AlertText
from cases.second_look_models import SecondLook
from cases.tallying import tally_everything
from riskplatform import demo
from riskplatform.preparing import prepare
from scoring.models import Label, Prediction

EVENTS = {"payments": 14_000, "cards": 14_000}
FAR = 1_000_000
"""Ids of copies: so much a copy, plus the id of what was copied."""
SPAN = "copy * interval '2 hours'"
SHARES = (
    "CASE WHEN mod(copy, 10) < 5 THEN 'open' WHEN mod(copy, 10) < 7 THEN 'in_case'"
    " ELSE 'closed' END"
)
"""Half of the alerts wait, a fifth is in cases, the others are closed."""


def multiply(predictions: int, alerts: int, cases: int) -> dict[str, int]:
    """Fill an empty database; how many rows of each kind it holds then."""
    prepare()
    demo.make_people("bench")
    demo.fill(lambda text: None, events=EVENTS, served_events=1500)
    copies = max(alerts // max(Alert.objects.count(), 1), 1)
    _choose_templates(max(predictions // copies, 1))
    _copy_predictions(copies)
    _copy_alerts(copies, cases)
    _copy_labels(copies)
    _second_looks()
    with connection.cursor() as cursor:
        for model in (Alert, Case, Label, AlertPrediction, CaseEvent, Touch, SecondLook):
            name = model._meta.db_table
            cursor.execute(
                f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), max(id)) FROM {name}"  # noqa: S608
            )
        cursor.execute("VACUUM ANALYZE")
    tally_everything()
    return {
        str(model._meta.verbose_name_plural): model.objects.count()
        for model in (Prediction, Alert, Case, Label, CaseEvent)
    }


def _run(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


def _copy(model: type[Model], changed: dict[str, str], rest: str) -> None:
    """Copy rows; `changed` says what is made otherwise, `rest` where from. In SQL of our own."""
    names = [str(field.column) for field in model._meta.concrete_fields]
    values = ", ".join(changed.get(name, f"old.{name}") for name in names)
    _run(
        f"INSERT INTO {model._meta.db_table} ({', '.join(names)})"  # noqa: S608
        f" SELECT {values} FROM {model._meta.db_table} AS old {rest}"
    )


def _id(name: str) -> str:
    """The id of the copy of a prediction, told from the id of what was copied."""
    return f"md5({name}::text || copy)::uuid"


def _choose_templates(most: int) -> None:
    """The predictions to copy: those in alerts, then the newest others."""
    _run(
        "CREATE TABLE template AS SELECT p.id FROM scoring_prediction p LEFT JOIN"
        " cases_alertprediction l ON l.prediction_id = p.id"
        " ORDER BY l.id IS NULL, p.received_at DESC LIMIT %s",
        most,
    )


def _copy_predictions(copies: int) -> None:
    _copy(
        Prediction,
        {
            "id": _id("old.id"),
            "external_id": "old.external_id || '-' || copy",
            "entity": "md5(old.entity || copy)",
            "event_time": f"old.event_time - {SPAN}",
            "received_at": f"old.received_at - {SPAN}",
        },
        f"JOIN template t ON t.id = old.id, generate_series(1, {copies}) AS copy",
    )


def _copy_alerts(copies: int, cases: int) -> None:
    series = f"generate_series(1, {copies}) AS copy"
    originals = f"old.id < {FAR}"
    times = ("first_event_at", "last_event_at", "opened_at")
    closed = "mod(copy, 10) >= 7"
    _copy(
        Alert,
        {
            "id": f"copy::bigint * {FAR} + old.id",
            "entity": "md5(old.entity || copy)",
            "status": SHARES,
            "top_prediction_id": _id("old.top_prediction_id"),
            **{name: f"old.{name} - {SPAN}" for name in times},
            "closed_at": f"CASE WHEN {closed} THEN old.opened_at - {SPAN} + interval '1 hour' END",
            "disposition": f"CASE WHEN {closed} THEN"
            " CASE WHEN mod(copy, 2) = 0 THEN 'fraud' ELSE 'false_positive' END ELSE '' END",
            "reason_code": f"CASE WHEN {closed} THEN"
            " CASE WHEN mod(copy, 2) = 0 THEN 'card_testing' ELSE 'travel' END ELSE '' END",
            "owner_id": f"CASE WHEN mod(copy, 3) = 0 THEN {_user('analyst')} END",
            "case_id": "NULL",
            "closed_by_id": f"CASE WHEN {closed} THEN {_user('analyst')} END",
        },
        f", {series} WHERE {originals}",
    )
    _copy(
        AlertPrediction,
        {
            "id": f"copy::bigint * {FAR} + old.id",
            "alert_id": f"copy::bigint * {FAR} + old.alert_id",
            "prediction_id": _id("old.prediction_id"),
        },
        f", {series} WHERE {originals}",
    )
    _run(
        f"INSERT INTO {AlertText._meta.db_table} (alert_id, words)"  # noqa: S608
        f" SELECT copy::bigint * {FAR} + old.alert_id, old.words || 'copy' || copy || ' '"
        f" FROM {AlertText._meta.db_table} AS old, {series} WHERE old.alert_id < {FAR}"
    )
    _cases(cases)
    _run(
        "INSERT INTO cases_touch (user_id, alert_id, opened_at, closed_at)"
        " SELECT %s, id, closed_at - random() * interval '10 minutes', closed_at FROM cases_alert"
        " WHERE status = 'closed'",
        _user("analyst"),
    )


def _cases(most: int) -> None:
    """A case for each alert that is in one, half of them closed, with a short timeline."""
    _copy(
        Case,
        {
            "id": "a.id",
            "title": "'About ' || a.entity",
            "status": "CASE WHEN mod(a.id, 2) = 0 THEN 'closed' ELSE 'investigating' END",
            "disposition": "CASE WHEN mod(a.id, 2) = 0 THEN 'fraud' ELSE '' END",
            "reason_code": "CASE WHEN mod(a.id, 2) = 0 THEN 'card_testing' ELSE '' END",
            "opened_at": "a.opened_at",
            "closed_at": "CASE WHEN mod(a.id, 2) = 0 THEN a.opened_at + interval '1 day' END",
        },
        f", (SELECT * FROM cases_alert WHERE status = 'in_case' AND id > {FAR}"  # noqa: S608
        f" ORDER BY id LIMIT {most}) AS a WHERE old.id = (SELECT min(id) FROM cases_case)",
    )
    _run(
        "UPDATE cases_alert a SET case_id = c.id,"
        " status = CASE WHEN c.status = 'closed' THEN 'closed' ELSE 'in_case' END,"
        " closed_at = c.closed_at, disposition = c.disposition, reason_code = c.reason_code"
        " FROM cases_case c WHERE c.id = a.id AND a.id > %s",
        FAR,
    )
    _copy(
        CaseEvent,
        {"id": f"c.id * 100 + mod(old.id, 100) + {FAR}", "case_id": "c.id", "at": "c.opened_at"},
        f", cases_case c WHERE c.id > {FAR} AND old.case_id < {FAR}",
    )


def _copy_labels(copies: int) -> None:
    _copy(
        Label,
        {
            "id": f"copy::bigint * {FAR} + old.id",
            "prediction_id": _id("old.prediction_id"),
            **{f: f"old.{f} - {SPAN}" for f in ("event_time", "label_time", "recorded_at")},
        },
        "JOIN template t ON t.id = old.prediction_id,"
        f" generate_series(1, {copies}) AS copy WHERE old.id < {FAR}",
    )


def _second_looks() -> None:
    """A twentieth of the labelled alerts, a tenth of them in dispute, a tenth still waiting."""
    _run(
        "INSERT INTO cases_secondlook (alert_id, status, propensity, drawn_at, first_by_id,"
        " first_at, first_disposition, first_reason, second_by_id, second_at, second_disposition,"
        " second_reason, second_notes, settled_disposition, settled_reason, settled_notes)"
        " SELECT id, CASE mod(n, 10) WHEN 0 THEN 'disputed' WHEN 1 THEN 'waiting' ELSE 'agreed'"
        " END,"
        " 0.05, closed_at, closed_by_id, closed_at, disposition, reason_code,"
        " CASE WHEN mod(n, 10) <> 1 THEN %s END, CASE WHEN mod(n, 10) <> 1 THEN closed_at END,"
        " CASE mod(n, 10) WHEN 0 THEN 'inconclusive' WHEN 1 THEN '' ELSE disposition END,"
        " CASE mod(n, 10) WHEN 0 THEN 'no_contact' WHEN 1 THEN '' ELSE reason_code END,"
        " '', '', '', '' FROM (SELECT *, row_number() OVER (ORDER BY id) AS n FROM cases_alert"
        " WHERE status = 'closed' AND disposition IN ('fraud', 'false_positive')) AS a"
        " WHERE mod(id, 20) = 0",
        _user("lead"),
    )


def _user(name: str) -> int:
    return User.objects.get(username=name).pk
