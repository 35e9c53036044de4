"""Synchronising a list: taken in whole or not at all, in force from the next event on."""

import threading
from dataclasses import replace

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AuditEntry
from scoring import watchlist_store, watchlists
from scoring.core.spec import ScreeningSpec
from scoring.core.types import Decision, RiskLevel
from scoring.core.watchlist import WatchlistError
from scoring.downloading import DownloadError, NotThereError
from scoring.policy_models import Watchlist
from scoring.watchlist_store import active_watchlists, screener
from scoring.watchlists import sync_watchlist

pytestmark = pytest.mark.django_db
SPEC = ScreeningSpec(
    name_field="user_name", country_field="country", birth_date_field="born",
    lists=("ofac_sdn", "un"),
    review=0.9, block=0.97, embargoed=frozenset({"KP"}), high_risk=frozenset({"MM"}),
)  # fmt: skip


def row(number, name, remarks="-0- "):
    empty = ",".join(["-0- "] * 7)
    return f'{number},"{name}","individual","TEST",{empty},"{remarks}"\r\n'


ALIAS = '1,1,"aka","NOBODY, Else",-0- \r\n'


@pytest.fixture(autouse=True)
def no_indexes():
    watchlist_store.forget_indexes()


@pytest.fixture
def publish(tmp_path):
    """Writes a list of so many entries, the first one with an alias, and synchronises it."""

    def publish_list(*names, **options):
        (tmp_path / "sdn.csv").write_text("".join(row(i, name) for i, name in enumerate(names, 1)))
        (tmp_path / "alt.csv").write_text(ALIAS if names else "")
        return sync_watchlist(str(tmp_path), **options)

    return publish_list


def hits(name="", **fields):
    return screener(SPEC, active_watchlists()).screen({"user_name": name, **fields})


def test_a_list_is_in_force_from_its_synchronisation_on(publish):
    assert hits("Rodion Rasskolnikow") == ()
    report = publish("RASSKOLNIKOW, Rodion", "PIKE, Zebulon")
    assert (report.entries, report.changed, active_watchlists()) == (
        2,
        True,
        {"ofac_sdn": report.digest},
    )
    assert [hit.entry for hit in hits("Rodion Rasskolnikow")] == ["1"]


def test_a_hit_carries_its_list_and_its_reading(publish):
    digest = publish("RASSKOLNIKOW, Rodion").digest
    (hit,) = hits("rodion RASSKOLNIKOW")
    assert (hit.kind, hit.list_name, hit.list_digest) == ("name", "ofac_sdn", digest)
    assert (hit.outcome, hit.severity) == (Decision.BLOCK, RiskLevel.CRITICAL)
    assert (hit.matched, hit.score) == ("RASSKOLNIKOW, Rodion", 1.0)


def test_a_doubtful_name_asks_for_a_review(publish):
    publish("RASSKOLNIKOW, Rodion Romanowitsch")
    (hit,) = hits("Rodion Rasskolnikow")
    assert (hit.outcome, hit.severity) == (Decision.REVIEW, RiskLevel.HIGH)
    assert "1 of the listed name missing" in hit.text
    assert hit.detail["missing"] == ["romanowitsch"]


def test_what_is_kept_of_a_hit_never_holds_the_given_name(publish):
    publish("RASSKOLNIKOW, Rodion")
    (hit,) = hits("Rodjon Raskolnikow")
    assert "raskolnikow" not in f"{hit.text}{hit.detail}".lower().replace("rasskolnikow", "")


def test_countries_need_no_list():
    (embargo,), (risky,) = hits(country="kp"), hits(country="Burma")
    assert (embargo.outcome, embargo.severity) == (Decision.BLOCK, RiskLevel.CRITICAL)
    assert (risky.outcome, risky.severity) == (Decision.REVIEW, RiskLevel.HIGH)
    assert (embargo.kind, embargo.entry, embargo.matched) == ("country", "KP", "North Korea")
    assert hits(country="DE") == hits(country="Atlantis") == hits(country=None) == ()


@pytest.mark.parametrize(
    "between",
    ["\u00ad", "\u200b" * 400, "\x01", "\ufe0f"],
    ids=["soft hyphen", "zero-width spaces", "control", "variation selector"],
)
def test_what_nobody_sees_hides_nobody(publish, between):
    publish("RASSKOLNIKOW, Rodion")
    assert hits(between.join("Rodion Rasskolnikow")) == hits("Rodion Rasskolnikow") != ()
    assert hits(country=f"K{between}P") == hits(country="KP") != ()


def test_spaces_push_no_name_out(publish):
    publish("RASSKOLNIKOW, Rodion")
    assert hits("Rodion" + " " * 400 + "Rasskolnikow") == hits("Rodion Rasskolnikow")


def test_the_worst_hit_comes_first(publish):
    publish("RASSKOLNIKOW, Rodion Romanowitsch")
    assert [hit.kind for hit in hits("Rodion Rasskolnikow", country="KP")] == ["country", "name"]


def test_a_birth_date_far_off_lowers_a_hit(tmp_path):
    (tmp_path / "sdn.csv").write_text(row(1, "RASSKOLNIKOW, Rodion", "DOB 01 May 1960"))
    sync_watchlist(str(tmp_path), force=True)
    (same,), (other,) = (hits("Rodjon Rasskolnikow", born=b) for b in ("1960-05-01", "1990-01-01"))
    assert same.score > other.score
    assert (same.detail["birth_date"], other.detail["birth_date"]) == ("agrees", "contradicts")


def test_an_old_reading_still_answers_for_old_decisions(publish):
    old = publish("RASSKOLNIKOW, Rodion").digest
    publish("PIKE, Zebulon")
    assert hits("Rodion Rasskolnikow") == ()
    (hit,) = screener(SPEC, {"ofac_sdn": old}).screen({"user_name": "Rodion Rasskolnikow"})
    assert (hit.entry, hit.list_digest) == ("1", old)


def test_one_reading_is_in_force_and_it_may_be_an_old_one(publish):
    first = publish("RASSKOLNIKOW, Rodion").digest
    publish("PIKE, Zebulon")
    assert publish("RASSKOLNIKOW, Rodion").digest == first
    assert list(Watchlist.objects.filter(active=True).values_list("digest", flat=True)) == [first]
    assert Watchlist.objects.count() == 2


def test_the_same_list_again_is_no_change(publish):
    publish("RASSKOLNIKOW, Rodion")
    assert not publish("RASSKOLNIKOW, Rodion").changed


def test_a_list_that_lost_more_than_half_is_refused_unless_forced(publish):
    before = publish("A, One", "B, Two", "C, Three").digest
    with pytest.raises(WatchlistError, match="more than half"):
        publish("A, One")
    assert active_watchlists() == {"ofac_sdn": before}
    assert publish("A, One", force=True).changed


def test_names_that_are_more_than_half_gone_are_refused_too(tmp_path, publish):
    aliases = "".join(f'1,{i},"aka","NOBODY, Else {i}",-0- \r\n' for i in range(9))
    (tmp_path / "sdn.csv").write_text(row(1, "RASSKOLNIKOW, Rodion"))
    (tmp_path / "alt.csv").write_text(aliases)
    before = sync_watchlist(str(tmp_path))
    with pytest.raises(WatchlistError, match="has 2 names and had 10: more than half"):
        publish("RASSKOLNIKOW, Rodion")
    assert active_watchlists() == {"ofac_sdn": before.digest}
    assert publish("RASSKOLNIKOW, Rodion", force=True).previous_names == 10


@pytest.mark.parametrize("given", ["sdn.csv", "SDN.CSV", "alt.csv"])
def test_one_of_the_four_files_stands_for_all_beside_it(publish, tmp_path, given):
    whole = publish("RASSKOLNIKOW, Rodion")
    if given.isupper():
        (tmp_path / "sdn.csv").rename(tmp_path / given)
    again = sync_watchlist(str(tmp_path / given))
    assert (again.digest, again.names) == (whole.digest, 2)


@pytest.mark.parametrize("content", [None, "", "\x1a\r\n"])
def test_the_list_is_refused_without_its_aliases_unless_forced(tmp_path, content):
    (tmp_path / "sdn.csv").write_text(row(1, "RASSKOLNIKOW, Rodion"))
    if content is not None:
        (tmp_path / "alt.csv").write_text(content)
    with pytest.raises(WatchlistError, match=r"alt\.csv, .* missing or empty: .*--force"):
        sync_watchlist(str(tmp_path / "sdn.csv"))
    assert "alt.csv" in sync_watchlist(str(tmp_path), force=True).missing


SDN_XML = (
    "<sdnList><sdnEntry><uid>1</uid><lastName>RASSKOLNIKOW</lastName><firstName>Rodion</firstName>"
    "<sdnType>Individual</sdnType></sdnEntry></sdnList>"
)


@pytest.mark.parametrize("name", ["sdn.xml", "list"])
def test_the_single_file_of_the_list_needs_no_other(tmp_path, name):
    (tmp_path / name).write_text(SDN_XML)
    report = sync_watchlist(str(tmp_path / name))
    assert (report.name, report.missing) == ("ofac_sdn", ())
    assert [hit.entry for hit in hits("Rodion Rasskolnikow")] == ["1"]


@pytest.mark.parametrize("name", ["", "ofac_sdn"])
@pytest.mark.parametrize("content", ["<Sanctions/>", "<html>", "1;2;3"])
def test_what_is_no_list_is_refused_with_the_files_to_give(tmp_path, content, name):
    (tmp_path / "list").write_text(content)
    with pytest.raises(WatchlistError, match=r"sdn\.xml, or from sdn\.csv with alt\.csv"):
        sync_watchlist(str(tmp_path / "list"), name=name)


@pytest.fixture
def server(monkeypatch):
    """Contents by address, to be filled; the addresses asked for, with the bounds of each."""
    contents, asked = {}, []

    def download(url, *, largest, deadline):
        asked.append((url, largest, deadline))
        found = contents.get(url, NotThereError("The server answered 404 Not Found."))
        if isinstance(found, Exception):
            raise found
        return found.encode()

    monkeypatch.setattr(watchlists, "download", download)
    return contents, asked


@pytest.mark.parametrize(
    ("given", "alias"),
    [("x/sdn.csv", "x/alt.csv"), ("x/SDN.CSV", "x/ALT.CSV"), ("sdn.csv?v=1", "alt.csv?v=1")],
)
def test_an_address_of_one_of_the_files_brings_the_others(server, given, alias):
    contents, asked = server
    site = "https://lists.example/"
    contents |= {site + given: row(1, "RASSKOLNIKOW, Rodion"), site + alias: ALIAS}
    report = sync_watchlist(site + given)
    assert (report.names, report.missing) == (2, ("add.csv", "sdn_comments.csv"))
    assert len({deadline for _, _, deadline in asked}) == 1
    assert asked[1][1] == watchlists.LARGEST_FILE - len(row(1, "RASSKOLNIKOW, Rodion"))


def test_another_address_is_asked_for_alone(server):
    contents, asked = server
    contents["https://lists.example/all.xml"] = SDN_XML
    sync_watchlist("https://lists.example/all.xml")
    assert [url for url, _, _ in asked] == ["https://lists.example/all.xml"]


def test_an_address_without_aliases_is_refused(server):
    server[0]["https://lists.example/sdn.csv"] = row(1, "RASSKOLNIKOW, Rodion")
    with pytest.raises(WatchlistError, match=r"alt\.csv, .* missing or empty"):
        sync_watchlist("https://lists.example/sdn.csv")
    assert active_watchlists() == {}


def test_a_file_that_should_have_come_is_no_missing_one(server):
    server[0]["https://lists.example/sdn.csv"] = row(1, "RASSKOLNIKOW, Rodion")
    server[0]["https://lists.example/add.csv"] = DownloadError("The server answered 503 Busy.")
    server[0]["https://lists.example/alt.csv"] = ALIAS
    with pytest.raises(WatchlistError, match=r"add\.csv: The server answered 503"):
        sync_watchlist("https://lists.example/sdn.csv", force=True)


def test_an_address_that_has_nothing_is_told(server):
    with pytest.raises(WatchlistError, match=r"sdn\.csv: The server answered 404"):
        sync_watchlist("https://lists.example/sdn.csv", force=True)


def test_an_empty_list_is_refused_even_if_forced(publish):
    with pytest.raises(WatchlistError, match="empty"):
        publish(force=True)


def test_a_swap_that_fails_leaves_the_old_list(publish, monkeypatch):
    before = publish("RASSKOLNIKOW, Rodion").digest

    def broken(**_):
        raise RuntimeError("no audit, no change")

    monkeypatch.setattr(watchlists, "record_audit", broken)
    with pytest.raises(RuntimeError):
        publish("PIKE, Zebulon")
    assert active_watchlists() == {"ofac_sdn": before}


def test_every_synchronisation_is_audited(publish):
    digest = publish("RASSKOLNIKOW, Rodion").digest
    entry = AuditEntry.objects.get(action="watchlist.synced")
    assert digest in entry.detail_json
    assert '"entries": 1' in entry.detail_json
    assert '"missing": ["add.csv", "sdn_comments.csv"]' in entry.detail_json
    assert '"previous_names": 0' in entry.detail_json


def test_detectors_that_screen_by_it_get_a_new_policy(publish, payments_detector):
    screens = payments_detector.spec().screening is not None
    assert publish("RASSKOLNIKOW, Rodion").republished == (("payments",) if screens else ())


def test_a_reading_that_is_gone_is_an_error():
    with pytest.raises(WatchlistError, match="not in the database"):
        screener(SPEC, {"un": "f" * 64})


def test_an_index_is_built_once_for_many_callers(publish, monkeypatch):
    publish("RASSKOLNIKOW, Rodion")
    lists, built = active_watchlists(), []
    content = {digest: watchlist_store._read(digest) for digest in lists.values()}
    real = watchlist_store.NameIndex
    monkeypatch.setattr(watchlist_store, "_read", content.__getitem__)
    monkeypatch.setattr(watchlist_store, "NameIndex", lambda given: built.append(1) or real(given))
    callers = [threading.Thread(target=screener, args=(SPEC, lists)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert built == [1]


def test_a_list_that_was_never_synchronised_is_not_screened():
    assert screener(replace(SPEC, lists=("un",)), {}).screen({"user_name": "Zebulon Pike"}) == ()


@pytest.mark.parametrize("value", [None, 7, ["x"], "", "   "])
def test_a_value_that_is_no_name_is_left_alone(publish, value):
    publish("RASSKOLNIKOW, Rodion")
    assert hits(value) == ()


def test_the_command_says_what_it_took_in(publish, tmp_path, capsys):
    publish("RASSKOLNIKOW, Rodion")
    (tmp_path / "sdn.csv").write_text(row(1, "RASSKOLNIKOW, Rodion") + row(2, "PIKE, Zebulon"))
    call_command("sync_watchlist", str(tmp_path))
    said = capsys.readouterr().out
    assert said.startswith("ofac_sdn: 2 entries (was 1), 3 names (was 2), ")
    assert "Read without add.csv, sdn_comments.csv" in said


@pytest.mark.parametrize("name", ["missing.csv", "un.xml", "notes.txt"])
def test_the_command_refuses_what_it_cannot_read(tmp_path, name):
    (tmp_path / "un.xml").write_text("<CONSOLIDATED_LIST></CONSOLIDATED_LIST>")
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(CommandError):
        call_command("sync_watchlist", str(tmp_path / name))
    assert not Watchlist.objects.exists()
