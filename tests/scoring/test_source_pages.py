"""Sources declared in the browser: the same editor as for detectors, the same service as API."""

import html
import re

import pytest

from accounts.models import AuditEntry
from scoring.source_declaration import SKETCH, read_mapping, read_yaml
from scoring.source_models import Source
from scoring.source_texts import declaration_of, source_base
from scoring.source_texts import text_of as declared_text
from scoring.sources import save_source
from scoring.yaml_writing import write_yaml
from tests.scoring.test_sources import KAFKA, WEBHOOK

pytestmark = pytest.mark.django_db
LISTED, NEW, EDIT = "/sources/", "/sources/declare/new/", "/sources/shop-payments/"


@pytest.fixture
def editor(client, engineer):
    client.force_login(engineer)
    return client


@pytest.fixture
def shop(payments_detector):
    return save_source(read_yaml(WEBHOOK), actor=None)[0]


def text_of(answer):
    return html.unescape(answer.content.decode())


def post(editor, address, text, act="save", base=""):
    return editor.post(address, {"text": text, "act": act, "base": base})


def base_of(source):
    return source_base(Source.objects.get(pk=source.pk))


def test_the_sketch_of_a_new_one_can_be_saved_as_it_is(editor):
    assert "It names no detector" in text_of(post(editor, NEW, SKETCH, "preview"))
    assert post(editor, NEW, SKETCH).url == "/sources/my-source/"
    assert AuditEntry.objects.get(action="source.added").actor.username == "engineer"
    told = text_of(post(editor, NEW, SKETCH))
    assert "there is a source 'my-source' already" in told and 'data-line="2"' in told


@pytest.mark.parametrize("slug", ["new", "declare", "a-1", "7x"])
def test_a_source_may_be_called_anything(editor, slug):
    post(editor, NEW, SKETCH.replace("my-source", slug))
    assert "My source" in text_of(editor.get(f"/sources/{slug}/"))


@pytest.mark.parametrize("text", [WEBHOOK, KAFKA])
def test_the_editor_starts_from_what_is_in_force(editor, payments_detector, text):
    declared = read_yaml(text)
    source, _ = save_source(declared, actor=None)
    page = editor.get(source.get_absolute_url()).content.decode()
    area = re.search(r"<textarea.*?>\n(.*?)</textarea>", page, re.DOTALL)
    assert read_yaml(html.unescape(area[1])).told() == declared.told()


@pytest.mark.parametrize("address", [NEW, EDIT])
def test_who_may_not_declare_may_read_at_most(client, lead, analyst, owner, shop, address):
    for user in (lead, analyst, owner):
        client.force_login(user)
        assert client.get(address).status_code == (403 if address == NEW else 200)
        assert post(client, address, SKETCH).status_code == 403
        assert NEW not in text_of(client.get(LISTED))
    assert "readonly" in text_of(client.get(EDIT))


@pytest.mark.parametrize("address", [LISTED, NEW, EDIT])
def test_a_stranger_logs_in_first_and_an_outsider_is_refused(client, outsider, shop, address):
    assert client.get(address).status_code == 302
    client.force_login(outsider)
    assert client.get(address).status_code == 403


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("webhook", "pigeon", 2, "is one of csv"),
        ("payments\nmapping", "nobody\nmapping", 3, "there is no detector 'nobody'"),
        ("location: {type: string}", "place: {type: string}", 7, "needs 'location'"),
        ("[customer, e_mail]", "[nothing]", 16, "is not a property of schema"),
        ("Shop payments", "Another name", 1, "stays 'shop-payments'"),
        ("mapping:", "\tmapping:", 4, "begins with a tab"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_nothing_is_lost(editor, shop, old, new, line, says):
    text = WEBHOOK.replace(old, new)
    answer = post(editor, EDIT, text, base=base_of(shop))
    told = re.findall(r'data-line="(\d+)".*?<span>(.*?)</span>', text_of(answer), re.DOTALL)
    assert answer.status_code == 422 and text in text_of(answer)
    assert any(int(number) == line and says in said for number, said in told), told
    assert Source.objects.get().updated_at == shop.updated_at


@pytest.mark.parametrize(
    "odd", ["1: 2", "null: 2", "? [a]\n  : 2", "a: !!set {x}", "a: 2026-01-01"]
)
def test_odd_keys_and_values_are_no_error_of_ours(editor, shop, odd):
    text = WEBHOOK.replace("  type: object", f"  type: object\n  {odd}")
    for act in ("check", "preview", "save"):
        assert post(editor, EDIT, text, act, base_of(shop)).status_code in (200, 302, 422)


def test_what_changes_is_previewed_and_saved(editor, shop):
    text = declared_text(shop)
    assert "what stands already" in text_of(post(editor, EDIT, text, "preview", base_of(shop)))
    text = text.replace("webhook", "rest").replace("[books, games]", "[books]")
    told = text_of(post(editor, EDIT, text, "preview", base_of(shop)))
    assert "<ins>source_type: rest</ins>" in told and "from the next one on" in told
    assert post(editor, EDIT, text, base=base_of(shop)).url == EDIT
    assert Source.objects.get().source_type == "rest"
    assert AuditEntry.objects.get(action="source.changed").actor.username == "engineer"


def test_a_stale_edit_undoes_nothing(editor, shop):
    base = base_of(shop)
    save_source(read_yaml(WEBHOOK.replace("books, games", "books")), actor=None)
    text = write_yaml(declaration_of(shop)).replace("webhook", "rest")
    answer = post(editor, EDIT, text, base=base)
    assert answer.status_code == 422 and "Somebody changed this" in text_of(answer)
    assert Source.objects.get().source_type == "webhook"
    assert base_of(shop) in text_of(post(editor, EDIT, text, "rebase", base))


def test_the_comments_and_order_of_its_author_stay(editor, shop):
    text = "# mine\n" + WEBHOOK.replace("required:", "# all of them\n  required:")
    told = text_of(post(editor, EDIT, text, "preview", base_of(shop)))
    assert "<ins># mine</ins>" in told and "nothing else changes" in told
    assert post(editor, EDIT, text, base=base_of(shop)).url == EDIT
    page = editor.get(EDIT).content.decode()
    area = re.search(r"<textarea.*?>\n(.*?)</textarea>", page, re.DOTALL)
    assert html.unescape(area[1]) == text


def test_nobody_undoes_the_comments_of_another(editor, shop):
    base = base_of(shop)
    post(editor, EDIT, "# hers\n" + WEBHOOK, base=base)
    answer = post(editor, EDIT, "# his\n" + WEBHOOK, base=base)
    assert answer.status_code == 422 and "Somebody changed this" in text_of(answer)
    assert declared_text(Source.objects.get()) == "# hers\n" + WEBHOOK


def test_a_client_that_changes_it_has_it_written_anew(editor, shop):
    post(editor, EDIT, "# mine\n" + WEBHOOK, base=base_of(shop))
    declared = declaration_of(Source.objects.get())
    save_source(read_mapping(declared), actor=None)
    assert declared_text(Source.objects.get()) == "# mine\n" + WEBHOOK
    declared["source_type"] = "rest"
    save_source(read_mapping(declared), actor=None)
    assert declared_text(Source.objects.get()) == write_yaml(declared)


def test_the_list_says_how_events_come(editor, shop):
    told = text_of(editor.get(LISTED))
    assert "POST its events to /api/v1/sources/shop-payments/events" in told and EDIT in told
    Source.objects.all().delete()
    assert "No source yet" in text_of(editor.get(LISTED))
