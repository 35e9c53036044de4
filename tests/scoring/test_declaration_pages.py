"""Detectors declared in the browser: mistakes with lines, a preview, nothing lost or undone."""

import html
import re

import pytest
from django.conf import settings as django_settings
from django.urls import reverse

from accounts.models import AuditEntry
from scoring.declaration_text import SKETCH, base_of, read_text
from scoring.declarations import SHIPPED, load_detector, save_detector
from scoring.declarations import text_of as declared_text
from scoring.deployment import serving
from scoring.models import Deployment, Detector
from scoring.yaml_writing import write_yaml
from tests.factories import config_of, payment, scored

pytestmark = pytest.mark.django_db
NEW = "/detectors/new-detector/"
EDIT = "/detectors/payments/declaration/"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def editor(client, engineer):
    client.force_login(engineer)
    return client


def text_of(answer):
    return html.unescape(answer.content.decode())


def post(editor, address, text, act="save", base="", **more):
    return editor.post(address, {"text": text, "act": act, "base": base}, **more)


def previewed(editor, config):
    """What is shown to who started from what stands."""
    base = base_of(declared_text(Detector.objects.get(slug="payments")))
    return text_of(post(editor, EDIT, write_yaml(config), "preview", base=base, headers=HTMX))


def saved(editor, detector, config):
    """What is answered to who saves a declaration that started from what stands."""
    base = base_of(declared_text(Detector.objects.get(pk=detector.pk)))
    return post(editor, EDIT, write_yaml(config), base=base)


def test_the_sketch_of_a_new_one_can_be_saved_as_it_is(editor):
    assert read_text(SKETCH)[0]["slug"] == "my_detector"
    assert "slug: my_detector" in text_of(editor.get(NEW))
    answer = post(editor, NEW, SKETCH.replace("\n", "\r\n"))
    assert answer.url == "/detectors/my_detector/"
    assert serving("my_detector").bundle.spec.rules[0].code == "MANY_WITHIN_AN_HOUR"
    assert AuditEntry.objects.get(action="detector.added").actor.username == "engineer"


def test_a_full_disk_is_told_beside_the_text(editor, bundle_dir, full_disk):
    answer = post(editor, NEW, SKETCH)
    assert answer.status_code == 422
    assert "cannot be written: No space left on device." in text_of(answer)
    assert not Detector.objects.filter(slug="my_detector").exists()


def test_a_shipped_detector_of_that_slug_that_is_loaded_later_leaves_it_alone(editor):
    text = SKETCH.replace("my_detector", "cards")
    post(editor, NEW, text)
    path = django_settings.BASE_DIR / "scoring/detectors/cards.yaml"
    assert load_detector(path, keep_edits=True)[1] == "kept"


def test_the_editor_starts_from_what_is_in_force(editor, payments_detector):
    area = re.search(
        r"<textarea.*?>\n(.*?)</textarea>", editor.get(EDIT).content.decode(), re.DOTALL
    )
    assert read_text(html.unescape(area[1]))[0] == payments_detector.config


@pytest.mark.parametrize("address", [NEW, EDIT])
def test_who_may_not_declare_may_read_at_most(
    client, lead, analyst, owner, payments_detector, address
):
    for user in (lead, analyst, owner):
        client.force_login(user)
        assert client.get(address).status_code == (403 if address == NEW else 200)
        for act in ("check", "preview", "save"):
            assert post(client, address, SKETCH, act).status_code == 403
    client.force_login(analyst)
    assert "readonly" in text_of(client.get(EDIT)) and "hx-post" not in text_of(client.get(EDIT))
    assert Detector.objects.count() == 1


@pytest.mark.parametrize("address", [NEW, EDIT])
def test_a_stranger_logs_in_first_and_an_outsider_is_refused(
    client, outsider, payments_detector, address
):
    assert client.get(address).status_code == 302
    client.force_login(outsider)
    assert client.get(address).status_code == 403


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("windows: [1h,", "windows: [1 hour,", 28, "is not a duration"),
        ("most: 10", "least: 10", 33, "most"),
        ("time: timestamp ", "time: when ", 6, "'when' is not a property"),
        ("costs:", "\tcosts:", 37, "begins with a tab"),
        ("rules:", "name: twice\nrules:", 31, "stands in line 2 already"),
        ("an hour", "an \x0b hour", 36, "has a character that YAML does not allow"),
        ("slug: my_detector", "slug: x", 1, "needs 2 to 40"),
        ("slug: my_detector", "slug: payments", 1, "there is a detector 'payments' already"),
        ("name: My detector", "name: '  '", 2, "is a text of 1 to 100 characters"),
        ("MANY_WITHIN_AN_HOUR", "overlap", 32, "is the address of another page"),
        ("text: More than 10 events within an hour.", "text: ''", 36, "is empty"),
        ("      channel:", f"      {'c' * 65}:", 19, "has at most 64 characters"),
    ],
)
def test_a_mistake_is_told_with_its_line(editor, payments_detector, old, new, line, says):
    assert old in SKETCH
    text = SKETCH.replace(old, new)
    answer = post(editor, NEW, text, "check", headers=HTMX)
    told = re.findall(r'data-line="(\d+)".*?<span>(.*?)</span>', text_of(answer), re.DOTALL)
    assert str(line) in {number for number, _ in told}
    assert any(says in said for _, said in told)
    assert "<html" not in text_of(answer)


def test_nothing_is_lost_when_a_save_is_refused(editor, payments_detector):
    text = "slug: payments\nname: <b>kept</b>\n"
    answer = post(editor, EDIT, text, base=base_of(declared_text(payments_detector)))
    assert answer.status_code == 422
    assert text in text_of(answer) and "Nothing was saved" in text_of(answer)
    assert "<b>kept</b>" not in answer.content.decode()
    assert Detector.objects.get().config == payments_detector.config


@pytest.mark.parametrize(
    "text",
    ["", pytest.param("x" * 100_001, id="long"), "a\0b", "a: &x [*x]", "- {",
     pytest.param("[" * 500, id="deep")],
)  # fmt: skip
def test_what_is_no_declaration_is_told_and_not_an_error(editor, payments_detector, text):
    for act in ("check", "preview", "save", "rebase", "odd"):
        assert "mistake" in text_of(post(editor, EDIT, text, act))


@pytest.mark.parametrize("odd", ['"a\\0b"', ".nan", "-.inf", "9" * 400, '"\\ud800"', '{"\\0": 1}'])
def test_a_value_that_no_column_holds_is_told_with_its_line(editor, odd):
    for old, line in (("description: What", 3), ("parameters: {most: 10}", 34)):
        value = f"{odd}  #" if line == 3 else f"{{most: 10, x: {odd}}}"
        text = SKETCH.replace(old, f"{old.partition(':')[0]}: {value}")
        answer = post(editor, NEW, text)
        assert answer.status_code == 422 and f'data-line="{line}"' in text_of(answer)
    assert not Detector.objects.exists()


def test_a_slug_stays(editor, payments_detector):
    answer = saved(editor, payments_detector, config_of("payments") | {"slug": "other"})
    assert "stays 'payments'" in text_of(answer)
    assert [row.slug for row in Detector.objects.all()] == ["payments"]


@pytest.mark.parametrize("change", [{"rules": []}, {"audit_rate": 0.0}, {"screening": {}}])
def test_what_takes_two_people_is_asked_for_elsewhere(editor, payments_detector, settings, change):
    config = config_of("payments") | change
    answer = saved(editor, payments_detector, config)
    assert answer.status_code == 422 and "takes a second person" in text_of(answer)
    settings.FOUR_EYES = False
    assert saved(editor, payments_detector, config).status_code == 302


def test_what_is_saved_decides_at_once_and_is_audited(editor, payments_detector, settings):
    settings.FOUR_EYES = False
    rules = [{"code": "ALWAYS", "when": "amount >= 0", "text": "Always."}]
    config = config_of("payments") | {"rules": rules, "name": "Transfers"}
    assert saved(editor, payments_detector, config).url == "/detectors/payments/"
    assert scored("payments", payment()).decision == "REVIEW"
    assert Detector.objects.get().name == "Transfers"
    entry = AuditEntry.objects.get(action="detector.changed")
    assert entry.actor.username == "engineer"
    assert entry.detail["sections"] == ["name", "rules"]
    assert AuditEntry.objects.filter(action="policy.published", actor=entry.actor).count() == 1


def with_windows(*windows):
    config = config_of("payments")
    config["features"]["transformations"][4]["config"]["windows"] = list(windows)
    return config


def test_windows_that_change_are_told_before_and_learnt_anew(editor, payments_detector):
    scored("payments", payment(amount=90.0))
    config = with_windows("7d", "60d")
    told = previewed(editor, config)
    assert "Windows by user_id changed" in told and "1 scored so far" in told
    assert saved(editor, payments_detector, config).status_code == 302
    row = scored("payments", payment())
    names = Detector.objects.get().spec().feature_names
    assert row.vector_array()[names.index("user_id_max_amount_60d")] == 90.0


def test_the_preview_shows_what_changes_and_changes_nothing(editor, payments_detector):
    before = AuditEntry.objects.count()
    config = config_of("payments") | {"costs": {"review_cost": 7}}
    told = previewed(editor, config)
    assert "<ins>costs: {review_cost: 7}</ins>" in told and "<del>costs:" in told
    assert "Its windows stay as they are." in told and 'value="save"' in told
    assert Detector.objects.get().config == payments_detector.config
    assert AuditEntry.objects.count() == before


def in_the_editor(editor):
    """The text that the editor starts from."""
    area = re.search(
        r"<textarea.*?>\n(.*?)</textarea>", editor.get(EDIT).content.decode(), re.DOTALL
    )
    return html.unescape(area[1])


def in_my_words(detector):
    return "# mine\n" + write_yaml(dict(reversed(detector.config.items())))


def test_comments_and_order_are_kept_and_change_nothing_else(editor, payments_detector):
    text, base = in_my_words(payments_detector), base_of(declared_text(payments_detector))
    told = text_of(post(editor, EDIT, text, "preview", base=base, headers=HTMX))
    assert "It says the same in other words" in told and "<ins># mine</ins>" in told
    assert post(editor, EDIT, text, base=base).status_code == 302
    assert in_the_editor(editor) == text
    assert Detector.objects.get().config == payments_detector.config
    detail = AuditEntry.objects.get(action="detector.changed").detail
    assert (detail["sections"], detail["rewritten"]) == ([], "order or comments")
    told = text_of(post(editor, EDIT, text, "preview", base=base_of(text)))
    assert "it says what stands already" in told and 'value="save"' not in told


def test_a_file_is_edited_as_it_was_written(editor, payments_detector):
    assert in_the_editor(editor) == (SHIPPED / "payments.yaml").read_text()
    assert "order of keys are kept" in text_of(editor.get(EDIT))


def test_nobody_undoes_the_comments_of_another(editor, payments_detector):
    base = base_of(declared_text(payments_detector))
    post(editor, EDIT, in_my_words(payments_detector), base=base)
    answer = post(editor, EDIT, write_yaml(config_of("payments") | {"name": "P"}), base=base)
    assert answer.status_code == 422 and "Somebody changed this" in text_of(answer)


def test_the_next_start_leaves_the_comments_that_somebody_wrote(editor, payments_detector):
    text = in_my_words(payments_detector)
    post(editor, EDIT, text, base=base_of(declared_text(payments_detector)))
    load_detector(SHIPPED / "payments.yaml", keep_edits=True)
    assert declared_text(payments_detector) == text
    load_detector(SHIPPED / "payments.yaml")
    assert "# mine" not in declared_text(payments_detector)


def test_a_text_that_says_what_no_longer_stands_is_not_shown(editor, payments_detector):
    post(
        editor, EDIT, in_my_words(payments_detector), base=base_of(declared_text(payments_detector))
    )
    save_detector(config_of("payments") | {"description": "Newer"})
    assert in_the_editor(editor) == write_yaml(Detector.objects.get().config)


def test_a_champion_that_no_longer_fits_is_told_and_left_alone(editor, champion):
    digest = Deployment.objects.get().digest
    told = previewed(editor, with_windows("7d", "14d"))
    assert "The champion v1 no longer fits" in told
    assert "It lacks user_id_distinct_device_id_14d" in told
    config = config_of("payments") | {"description": "Newer"}
    assert "v1 still fits" in previewed(editor, config)
    page = champion.get_absolute_url()
    assert "no longer fits" not in text_of(editor.get(page))
    saved(editor, champion, with_windows("7d", "14d"))
    assert Deployment.objects.get().digest == digest
    told = text_of(editor.get(page))
    assert "The champion v1 no longer fits." in told
    assert "It lacks user_id_distinct_device_id_14d" in told


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"amount": None}, "It still takes the amount of before."),
        ({"currency": {"default": "USD"}}, "It still takes the currency of before."),
        ({"entity": "device_id"}, "It still takes the entity of before."),
    ],
)
def test_a_role_that_a_champion_keeps_is_told(editor, champion, changed, said):
    config = config_of("payments")
    event = {key: value for key, value in (config["event"] | changed).items() if value}
    told = previewed(editor, config | {"event": event})
    assert "The champion v1 no longer fits" in told and said in told


def test_personal_data_that_a_champion_keeps_in_clear_is_told(editor, champion):
    config = config_of("payments")
    event = config["event"] | {"pii": [*config["event"]["pii"], "device_id"]}
    told = previewed(editor, config | {"event": event})
    assert "still takes the personal data of before" in told
    assert "Until then device_id is still stored and shown in clear." in told


def test_fields_that_a_champion_keeps_undeclared_are_told(editor, champion):
    config = config_of("payments")
    told = previewed(editor, config | {"event": config["event"] | {"undeclared": "drop"}})
    assert "Until then what it does not declare is still stored and shown in clear." in told


def test_a_rule_that_the_champion_gives_nothing_to_read_is_told(editor, champion, settings):
    settings.FOUR_EYES = False
    config = with_windows("7d", "14d")
    rule = {"code": "LARGE", "when": "user_id_max_amount_14d > 5", "text": "Large."}
    config["rules"] = [rule]
    told = previewed(editor, config)
    assert "LARGE reads user_id_max_amount_14d, which v1 does not give" in told
    assert (
        "Rules that go live: LARGE." in told and "Rules that retire: FAR_ABOVE_USUAL, HIGH_" in told
    )


def test_a_rule_that_reads_nothing_of_an_event_is_told(editor, payments_detector, settings):
    settings.FOUR_EYES = False
    config = config_of("payments")
    for code, when in (("ALL", "1 < most"), ("NONE", "most == 1"), ("SOME", "amount > most")):
        rule = {"code": code, "when": when, "parameters": {"most": 2}, "text": "Some."}
        config["rules"].append(rule)
    told = previewed(editor, config)
    assert "ALL reads nothing of events: it matches all of them." in told
    assert "NONE reads nothing of events: it matches none of them." in told
    assert "SOME reads" not in told


def test_a_stale_edit_undoes_nothing_and_can_be_compared(editor, payments_detector):
    base = base_of(declared_text(payments_detector))
    assert saved(editor, payments_detector, with_windows("7d", "14d")).status_code == 302
    text = write_yaml(config_of("payments") | {"description": "Mine"})
    for act in ("save", "preview"):
        answer = post(editor, EDIT, text, act, base=base)
        assert answer.status_code == 422 and text in text_of(answer)
        assert "Somebody changed this" in text_of(answer) and 'value="save"' not in text_of(answer)
    assert Detector.objects.get().description != "Mine"
    told = text_of(post(editor, EDIT, text, "rebase", base=base))
    assert "<del>" in told and base_of(write_yaml(with_windows("7d", "14d"))) in told


def test_a_declaration_that_cannot_be_read_is_corrected_here(editor, payments_detector):
    Detector.objects.update(config=config_of("payments") | {"costs": {"review": 5}})
    payments_detector.refresh_from_db()
    assert EDIT in text_of(editor.get("/detectors/payments/"))
    assert "review: 5" in text_of(editor.get(EDIT))
    told = previewed(editor, config_of("payments"))
    assert "<del>costs: {review: 5}</del>" in told
    assert saved(editor, payments_detector, config_of("payments")).status_code == 302


def test_detectors_lead_to_their_declaration(client, analyst, engineer, payments_detector):
    listed = reverse("detector_list")
    client.force_login(analyst)
    assert NEW not in text_of(client.get(listed))
    assert "Edit its declaration" not in text_of(client.get("/detectors/payments/"))
    client.force_login(engineer)
    assert NEW in text_of(client.get(listed))
    Detector.objects.all().delete()
    assert text_of(client.get(listed)).count(NEW) == 2
