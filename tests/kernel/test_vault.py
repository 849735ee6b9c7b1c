"""What is sealed opens only with the right secret, in the right place; what is signed is good for one purpose only."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halley.kernel.vault import SECRETS_MAX, Vault, derived_key

OLD, NEW, OTHER = b"o" * 32, b"n" * 32, b"x" * 32
CONTEXT = "channel chan_1"


@given(st.binary(max_size=2_000))
def test_what_is_sealed_opens_and_is_not_readable(plain: bytes):
    vault = Vault(NEW)
    sealed = vault.seal(plain, context=CONTEXT)
    assert vault.open(sealed, context=CONTEXT) == plain
    assert len(plain) < 8 or plain not in sealed


def test_sealing_twice_gives_different_values():
    vault = Vault(NEW)
    assert vault.seal(b"same", context=CONTEXT) != vault.seal(b"same", context=CONTEXT)


def test_sealed_value_does_not_open_in_another_place():
    vault = Vault(NEW)
    with pytest.raises(ValueError, match="channel chan_2"):
        vault.open(vault.seal(b"key", context=CONTEXT), context="channel chan_2")


@pytest.mark.parametrize("place", [4, 15, 16, -1], ids=["nonce", "end of nonce", "text", "tag"])
def test_changed_value_does_not_open(place: int):
    sealed = bytearray(Vault(NEW).seal(b"key", context=CONTEXT))
    sealed[place] ^= 1
    with pytest.raises(ValueError, match="was changed"):
        Vault(NEW).open(bytes(sealed), context=CONTEXT)


@given(st.binary(max_size=60))
def test_garbage_is_refused_with_a_clear_error(garbage: bytes):
    with pytest.raises(ValueError, match=CONTEXT):
        Vault(NEW).open(garbage, context=CONTEXT)


def test_rotated_secret_opens_the_old_and_seals_with_the_new():
    sealed = Vault(OLD).seal(b"key", context=CONTEXT)
    rotated = Vault([NEW, OLD])
    assert rotated.open(sealed, context=CONTEXT) == b"key"
    assert not rotated.is_current(sealed)
    again = rotated.seal(b"key", context=CONTEXT)
    assert rotated.is_current(again)
    assert Vault(NEW).open(again, context=CONTEXT) == b"key"


def test_lost_secret_is_named_by_its_remedy_and_never_by_its_value():
    sealed = Vault(OLD).seal(b"key", context=CONTEXT)
    with pytest.raises(ValueError, match="HALLEY_SECRET") as caught:
        Vault([NEW, OTHER]).open(sealed, context=CONTEXT)
    assert NEW.decode() not in str(caught.value)


def test_signature_is_stable_short_and_verified():
    mac = Vault(NEW).mac("link", "/a")
    assert mac == Vault(NEW).mac("link", "/a")
    assert len(mac) == 26
    assert Vault(NEW).verify_mac("link", "/a", mac)


def test_signature_is_good_for_one_purpose_one_text_and_one_secret():
    vault = Vault(NEW)
    mac = vault.mac("link", "/a")
    assert not vault.verify_mac("callback", "/a", mac)
    assert not vault.verify_mac("link", "/b", mac)
    assert not Vault(OTHER).verify_mac("link", "/a", mac)
    # Purpose and text are never joined, so no two identities meet where one ends and the other begins.
    assert vault.mac("a", "b/c") != vault.mac("a/b", "c")


def test_what_every_secret_signs_is_listed_the_newest_first():
    both = Vault([NEW, OLD])
    assert both.macs("link", "/a") == (Vault(NEW).mac("link", "/a"), Vault(OLD).mac("link", "/a"))


@pytest.mark.parametrize("cut", [0, 1, 13, 25])
def test_signature_cut_short_or_empty_never_verifies(cut: int):
    vault = Vault(NEW)
    assert not vault.verify_mac("link", "/a", vault.mac("link", "/a")[:cut])


@given(st.text())
def test_no_text_whatever_verifies_or_raises(offered: str):
    assert not Vault([NEW, OLD]).verify_mac("link", "/a", offered)


def test_signature_of_the_old_secret_verifies_until_it_is_dropped():
    mac = Vault(OLD).mac("link", "/a")
    assert Vault([NEW, OLD]).verify_mac("link", "/a", mac)
    assert not Vault(NEW).verify_mac("link", "/a", mac)


def test_derivation_is_hkdf():
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    theirs = HKDF(SHA256(), length=32, salt=None, info=b"halley/1/seal").derive(NEW)
    assert derived_key(NEW, "seal") == theirs


@pytest.mark.parametrize(
    ("secrets", "message"),
    [
        pytest.param([], "1 to", id="none"),
        pytest.param([b"n" * 31], "Secret 1 .* 31 characters", id="short"),
        pytest.param([b"n" * 32, b"hunter2"], "Secret 2 .* 7 characters", id="short second"),
        pytest.param([b"n" * 32] * (SECRETS_MAX + 1), "not 9", id="too many"),
    ],
)
def test_weak_secrets_are_refused_without_being_told(secrets: list[bytes], message: str):
    with pytest.raises(ValueError, match=message) as caught:
        Vault(secrets)
    assert "hunter2" not in str(caught.value)
    assert "nnnn" not in str(caught.value)


@pytest.mark.parametrize("secret", [b"", b"short", ()])
def test_vault_without_a_good_secret_cannot_be_made(secret: bytes | tuple[bytes, ...]):
    with pytest.raises(ValueError, match="HALLEY_SECRET"):
        Vault(secret)


def test_heavy_library_is_loaded_only_to_seal():
    script = (
        "import sys; from halley.kernel.vault import Vault; Vault(b'n' * 32).mac('link', '/a');"
        " assert not any(name.startswith('cryptography') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
