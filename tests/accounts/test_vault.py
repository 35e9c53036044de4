import base64

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given
from hypothesis import strategies as st

from accounts import vault

OLD = "k1:" + base64.b64encode(b"1" * 32).decode()
NEW = "k2:" + base64.b64encode(b"2" * 32).decode()
UNICODE = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.fixture(autouse=True)
def old_key(settings):
    settings.PII_KEYS = OLD


@given(text=UNICODE)
def test_what_is_encrypted_can_be_decrypted(text):
    assert vault.decrypt(vault.encrypt(text)) == text


def test_the_same_text_never_encrypts_twice_to_the_same():
    assert vault.encrypt("ann") != vault.encrypt("ann")


def test_a_text_names_the_key_that_encrypted_it():
    assert vault.encrypt("ann").startswith("enc:k1:")
    assert vault.is_encrypted(vault.encrypt("ann"))
    assert not vault.is_encrypted("ann")


def test_after_a_rotation_old_texts_open_and_new_ones_use_the_new_key(settings):
    old_text = vault.encrypt("ann")
    settings.PII_KEYS = f"{NEW},{OLD}"
    assert vault.decrypt(old_text) == "ann"
    assert vault.encrypt("ann").startswith("enc:k2:")


def test_tokens_survive_a_rotation(settings):
    before = vault.token("entity", "cust_4821")
    settings.PII_KEYS = f"{NEW},{OLD}"
    assert vault.token("entity", "cust_4821") == before


def test_a_token_is_128_bits_of_hex_and_depends_on_key_and_purpose(settings):
    entity = vault.token("entity", "cust_4821")
    assert len(bytes.fromhex(entity)) == 16
    assert entity != vault.token("device", "cust_4821")
    settings.PII_KEYS = NEW
    assert entity != vault.token("entity", "cust_4821")


def test_purpose_and_value_do_not_run_into_each_other():
    assert vault.token("a", "b:c") != vault.token("a:b", "c")


@pytest.mark.parametrize("position", [-3, -12, 8, 20])
def test_a_changed_character_is_refused(position):
    sealed = vault.encrypt("a text of some length")
    other = "A" if sealed[position] != "A" else "B"
    position %= len(sealed)
    with pytest.raises(vault.VaultError):
        vault.decrypt(sealed[:position] + other + sealed[position + 1 :])


@pytest.mark.parametrize("text", ["ann", "enc:k9:AAAA", "enc:k1:", "enc:k1:!!!!", "enc:k1:AAAA"])
def test_what_the_vault_did_not_make_is_refused(text):
    with pytest.raises(vault.VaultError):
        vault.decrypt(text)


def test_a_text_does_not_open_under_another_key_id(settings):
    settings.PII_KEYS = f"{OLD},{OLD.replace('k1', 'k3')}"
    with pytest.raises(vault.VaultError):
        vault.decrypt(vault.encrypt("ann").replace("enc:k1:", "enc:k3:"))


@pytest.mark.parametrize(
    "keys", ["", "k1", "k1:short", "k1:" + "é", f"{OLD},{OLD}", "k 1" + OLD[2:], "k1:AAAA"]
)
def test_wrong_keys_are_refused_loudly(settings, keys):
    settings.PII_KEYS = keys
    with pytest.raises(ImproperlyConfigured, match="PII_KEYS"):
        vault.encrypt("ann")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("4111111111111234", "••••1234"), ("cust_481", "••••_481"), ("1234", "••••")],
)
def test_a_mask_shows_four_characters_of_long_texts_and_none_of_short_ones(text, shown):
    assert vault.mask(text) == shown
