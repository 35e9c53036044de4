"""Files as sources: their own columns, their own schema, what is personal."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from scoring.models import Prediction
from scoring.source_declaration import read_yaml
from scoring.sources import save_source
from tests.scoring.test_sources import WEBHOOK

pytestmark = pytest.mark.django_db


def test_a_file_source_is_imported_with_its_own_column_names(payments_detector, tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text("order,customer,amount,location,timestamp,shop,e_mail\n"
                    "o-1,Ada,12.5,Berlin,2020-06-01T12:00:00Z,books,a@b\n")  # fmt: skip
    text = WEBHOOK.replace("webhook", f"csv\nconfig: {{path: '{path}'}}")
    save_source(read_yaml(text), actor=None)
    out = StringIO()
    call_command("run_source", "shop-payments", stdout=out)
    assert "1 rows: 0 were there before, 1 scored" in out.getvalue()
    assert Prediction.objects.get().event["merchant_type"] == "books"


def test_a_file_keeps_what_is_personal_out_too(payments_detector, tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text("order,customer,user_id,amount,location,timestamp,shop,country\n"
                    "o-1,Ada,u-7,12.5,Berlin,2020-06-01T12:00:00Z,books,DE\n")  # fmt: skip
    text = WEBHOOK.replace("webhook", f"csv\nconfig: {{path: '{path}'}}")
    source, _ = save_source(read_yaml(text), actor=None)
    # As where the detector took a field in after the source was declared.
    source.pii_fields = ["country"]
    source.save(update_fields=["pii_fields"])
    call_command("run_source", "shop-payments", stdout=StringIO())
    assert "country" not in Prediction.objects.get().event


def test_rows_of_a_file_keep_the_sources_own_schema_as_events_do(
    payments_detector, tmp_path, settings
):
    path, settings.VAR_DIR = tmp_path / "shop.csv", tmp_path
    path.write_text("order,customer,amount,location,timestamp,shop,paid\n"
                    "o-1,Ada,12.5,Berlin,2020-06-01T12:00:00Z,books,true\n"
                    "o-2,Ada,12.3,Berlin,2020-06-01T12:00:00Z,cars,false\n")  # fmt: skip
    text = WEBHOOK.replace("webhook", f"csv\nconfig: {{path: '{path}'}}")
    text = text.replace("    e_mail:", "    paid: {const: true, type: boolean}\n    e_mail:")
    text = text.replace("minimum: 0", "minimum: 0, multipleOf: 0.5")
    save_source(read_yaml(text), actor=None)
    call_command("run_source", "shop-payments", stdout=StringIO())
    assert [row.external_id for row in Prediction.objects.all()] == ["o-1"]
    [letter] = (tmp_path / "dead_letters").iterdir()
    told = json.loads(letter.read_text())
    assert sorted(field for field, _ in told["problems"]) == ["amount", "paid", "shop"]


def test_dead_letters_of_a_source_name_the_files_columns(payments_detector, tmp_path, settings):
    path, settings.VAR_DIR = tmp_path / "shop.csv", tmp_path
    path.write_text("order,customer,amount,location,timestamp,shop\n"
                    ",Ada,12.5,Berlin,2020-06-01T12:00:00Z,books\n"
                    f"o-2,Ada,12.3,Berlin,2020-06-01T12:00:00Z,{'c' * 70}\n")  # fmt: skip
    text = WEBHOOK.replace("webhook", f"csv\nconfig: {{path: '{path}'}}")
    text = text.replace("{type: string, enum: [books, games]}", "{type: string}")
    save_source(read_yaml(text), actor=None)
    call_command("run_source", "shop-payments", stdout=StringIO())
    [letters] = (tmp_path / "dead_letters").iterdir()
    told = [json.loads(line)["problems"] for line in letters.read_text().splitlines()]
    assert [field for [[field, _]] in told] == ["order", "shop"]


@pytest.mark.parametrize(
    "rule",
    [
        "{anyOf: [{type: number, minimum: 0}, {type: 'null'}]}",
        "{enum: [12.5, 13]}",
        "{type: [integer, number], minimum: 0}",
        "{minimum: 0}",
    ],
)
def test_a_column_without_one_plain_type_is_read_as_the_detector_reads_it(
    payments_detector, tmp_path, rule
):
    path = tmp_path / "shop.csv"
    path.write_text("order,customer,amount,location,timestamp,shop,paid\n"
                    "o-1,Ada,12.5,Berlin,2020-06-01T12:00:00Z,books,1\n")  # fmt: skip
    text = WEBHOOK.replace("webhook", f"csv\nconfig: {{path: '{path}'}}")
    text = text.replace("{type: number, minimum: 0}", rule)
    assert rule in text
    # Nobody says what the text of this one stands for, so nobody refuses it.
    text = text.replace("    e_mail:", "    paid: {enum: [1, 2]}\n    e_mail:")
    save_source(read_yaml(text), actor=None)
    call_command("run_source", "shop-payments", stdout=StringIO())
    assert Prediction.objects.get().external_id == "o-1"


def test_a_column_that_the_sources_schema_requires_is_missed(payments_detector, tmp_path):
    path = tmp_path / "shop.csv"
    path.write_text("order,amount\no-1,12.5\n")
    save_source(
        read_yaml(WEBHOOK.replace("webhook", f"csv\nconfig: {{path: '{path}'}}")), actor=None
    )
    with pytest.raises(
        CommandError, match=r"lacks the columns customer of its schema\. It has: order,"
    ):
        call_command("run_source", "shop-payments")
