"""Signatures of webhooks."""

import base64

import pytest
from standardwebhooks.webhooks import Webhook

from halley.vendors.replicate.signature import signed_headers, verified

SECRET = f"whsec_{base64.b64encode(b'k' * 32).decode()}"
NOW = 1_790_000_000
BODY = '{"id":"ä"}'.encode()


def test_our_signature_is_verified_by_us():
    headers = signed_headers(SECRET, "msg_1", NOW, BODY)
    assert verified(headers, BODY, SECRET, NOW)
    assert verified(headers, BODY, SECRET, NOW + 300)


def test_the_scheme_is_that_of_standard_webhooks():
    from datetime import UTC, datetime

    theirs = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    assert signed_headers(SECRET, "msg_1", NOW, BODY)["webhook-signature"] == theirs


def test_one_right_signature_among_several_is_enough():
    headers = signed_headers(SECRET, "msg_1", NOW, BODY)
    headers["webhook-signature"] = f"v1,AAAA v2,x {headers['webhook-signature']}"
    assert verified(headers, BODY, SECRET, NOW)


@pytest.mark.parametrize("late_s", [301, -301])
def test_an_old_or_future_message_is_not_verified(late_s: int):
    assert not verified(signed_headers(SECRET, "msg_1", NOW, BODY), BODY, SECRET, NOW + late_s)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!", "whsec_ä"])
def test_without_a_secret_nothing_is_verified_or_signed(secret: str):
    assert not verified(signed_headers(SECRET, "msg_1", NOW, BODY), BODY, secret, NOW)
    with pytest.raises(ValueError):
        signed_headers(secret, "msg_1", NOW, BODY)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-id": "msg_2"},
        {"webhook-id": ""},
        {"webhook-timestamp": str(NOW + 1)},
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "١٧٩٠٠٠٠٠٠٠"},
        {"webhook-timestamp": "9" * 5_000},
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,ÿ"},
    ],
    ids=str,
)
def test_a_changed_header_is_not_verified(changed: dict[str, str]):
    assert not verified({**signed_headers(SECRET, "msg_1", NOW, BODY), **changed}, BODY, SECRET, NOW)


def test_a_changed_body_or_no_headers_are_not_verified():
    assert not verified(signed_headers(SECRET, "msg_1", NOW, BODY), BODY + b" ", SECRET, NOW)
    assert not verified({}, BODY, SECRET, NOW)
