from ipaddress import ip_network

import pytest

from halley.api.base_url import Address, base_url, is_operator

BOUND = "http://127.0.0.1:8000"
PLAIN = Address(public_url=None, bound_url=BOUND, trusted_proxies=())
PROXIED = Address(public_url=None, bound_url=BOUND, trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")))
PUBLIC = Address(public_url="https://ai.example/", bound_url=BOUND, trusted_proxies=(ip_network("10.0.0.0/8"),))
FORWARDED = {"host": "inner:8000", "x-forwarded-proto": "https", "x-forwarded-host": "ai.example"}


@pytest.mark.parametrize(
    ("address", "peer", "headers", "expected"),
    [
        (PUBLIC, "1.2.3.4", {"host": "localhost:1"}, "https://ai.example"),
        (PUBLIC, "10.0.0.1", FORWARDED | {"x-forwarded-host": "evil.example"}, "https://ai.example"),
        (PLAIN, "127.0.0.1", {"host": "localhost:9999"}, "http://localhost:9999"),
        (PLAIN, "127.0.0.1", {"host": "127.9.9.9"}, "http://127.9.9.9"),
        (PLAIN, "::1", {"host": "[::1]:8000"}, "http://[::1]:8000"),
        (PLAIN, "1.2.3.4", {"host": "evil.example"}, BOUND),
        (PLAIN, "1.2.3.4", {"host": "localhost.evil.example"}, BOUND),
        (PLAIN, "1.2.3.4", {"host": "localhost:80/../x"}, BOUND),
        (PLAIN, "1.2.3.4", {"host": "localhost@evil.example"}, BOUND),
        (PLAIN, "1.2.3.4", {}, BOUND),
        (PLAIN, "10.0.0.1", FORWARDED, BOUND),
        (PROXIED, "8.8.8.8", FORWARDED, BOUND),
        (PROXIED, "10.0.0.1", FORWARDED, "https://ai.example"),
        (PROXIED, "::ffff:10.0.0.1", FORWARDED, "https://ai.example"),
        (PROXIED, "10.0.0.1", FORWARDED | {"x-forwarded-host": "evil.example, ai.example"}, "https://ai.example"),
        (PROXIED, "10.0.0.1", FORWARDED | {"x-forwarded-proto": "javascript"}, BOUND),
        (PROXIED, "10.0.0.1", FORWARDED | {"x-forwarded-host": "a b"}, BOUND),
        (PROXIED, None, FORWARDED, BOUND),
    ],
    ids=str,
)
def test_links_begin_with_what_may_be_trusted(
    address: Address, peer: str | None, headers: dict[str, str], expected: str
):
    assert base_url(address, peer, headers) == expected


@pytest.mark.parametrize(
    ("peer", "headers", "expected"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {}, True),
        ("10.0.0.1", {}, True),
        ("127.0.0.1", {"x-forwarded-for": "8.8.8.8"}, False),
        ("127.0.0.1", {"forwarded": "for=127.0.0.1"}, False),
        ("8.8.8.8", {}, False),
        (None, {}, False),
        ("unix:", {}, False),
    ],
)
def test_only_this_machine_and_trusted_addresses_are_the_operator(
    peer: str | None, headers: dict[str, str], expected: bool
):
    assert is_operator(PROXIED, peer, headers) is expected


def test_long_hosts_are_not_remembered():
    address = Address(public_url=None, bound_url=BOUND, trusted_proxies=())
    for number in range(10):
        assert base_url(address, None, {"host": f"{number}" + "x" * 60_000}) == BOUND
    assert base_url(address, None, {"host": "localhost:9"}) == "http://localhost:9"
    assert sum(map(len, address.by_host)) < 100
