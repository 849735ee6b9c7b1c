"""Where a URL leads: every spelling of a private place is refused before anything is looked up or connected to."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from halley.upstream import Refused
from halley.upstream.address import (
    FetchPolicy,
    Policy,
    check_literal,
    check_port,
    is_public,
    origins,
    parse_address,
    parse_target,
)

PRIVATE = [
    "0.0.0.0",  # noqa: S104  refused, not bound
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2606:4700:4700::1111", "2a00::1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_or_reserved_address_is_closed(address: str):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_open_internet_is_public(address: str):
    assert is_public(ipaddress.ip_address(address))


@given(st.ip_addresses())
def test_what_is_public_to_us_is_global_to_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
):
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.ip_addresses(v=4))
def test_no_ipv4_address_becomes_public_in_the_dress_of_ipv6(address: ipaddress.IPv4Address):
    number = int(address)
    for dressed in (
        number,  # ::a.b.c.d
        0xFFFF << 32 | number,  # mapped
        0x0064_FF9B << 96 | number,  # NAT64
        0x2002 << 112 | number << 80,  # 6to4
        0x2001 << 112 | number,  # Teredo
    ):
        assert not is_public(ipaddress.IPv6Address(dressed))


@given(st.ip_addresses(v=6), st.sampled_from(["eth0", "1", "lo"]))
def test_an_address_with_a_zone_is_never_public(address: ipaddress.IPv6Address, zone: str):
    assert not is_public(ipaddress.IPv6Address(f"{address}%{zone}"))


@given(st.lists(st.ip_addresses().map(str), max_size=5))
def test_exactly_the_public_addresses_of_a_name_are_kept(found: list[str]):
    kept = Policy(FetchPolicy()).reachable(parse_target("http://a.example/"), found)
    assert set(kept) == {text for text in found if is_public(ipaddress.ip_address(text))}


def test_what_is_no_address_at_all_is_not_kept():
    assert Policy(FetchPolicy()).reachable(parse_target("http://a.example/"), ["127.1", "a.example", ""]) == []


def admitted(text: str) -> str:
    target = parse_target(text)
    check_port(target)
    check_literal(target)
    return target.origin


@pytest.mark.parametrize("address", PRIVATE)
def test_a_url_with_a_private_address_is_refused(address: str):
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(Refused):
        admitted(f"http://{host}/")


ODD = [
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.0.0.1./",
    "http://1.2.3/",
    "http://0/",
    "http://0x/",
    "http://008.8.8.8/",
    "http://8.8.8.8.8/",
    "http://8.8.8.256/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
    "http://localhost/",
    "http://LOCALHOST/",
    "http://localhost./",
    "http://LocalHost.:80/",
    "http://a.localhost/",
    "http://example.com./",
    "http://127%2e0.0.1/",
    "http://%6c%6f%63alhost/",
    "http://[::1%25lo]/",
    "http://[::1]x/",
    "http://[v1.a]/",
    "http://[127.0.0.1]/",
    "http://::1/",
    "http://[::1/",
    "http://user@example.com/",
    "http://user:pw@example.com/",
    "http://@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://example.com\\.evil/",
    "http://exa\tmple.com/",
    "http://exa\nmple.com/",
    "http://example.com/\r\nX: y",
    " http://example.com/",
    "http://example.com/a b",
    "http://example.com/\x00",
    "http://example.com/\u00a0",
    "http://exam\u00adple.com/",
    "http://example.com/\udcff",
    "http://exa_mple..com/",
    "http://-example.com/",
    "http://" + "a" * 64 + ".com/",
    "http://" + "a." * 127 + "com/",
    "http://a,b.com/",
    "http://a;b/",
    "http://*.example.com/",
    "http://",
    "http:///path",
    "http:/example.com/",
    "http:example.com",
    "//example.com/",
    "/path",
    "",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "data:image/png;base64,AA",
    "javascript:alert(1)",
    "ws://example.com/",
    "unix:///run/x",
    "http://example.com:/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:-1/",
    "http://example.com:80a/",
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com/" + "a" * 2_083,
]


@pytest.mark.parametrize("text", ODD, ids=[ascii(text)[:48] for text in ODD])
def test_an_oddly_spelled_url_is_refused(text: str):
    with pytest.raises(Refused) as caught:
        admitted(text)

    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://example.com/a.png", "https://example.com:443"),
        ("HTTP://Example.COM", "http://example.com:80"),
        ("https://example.com:8443/x?y=@z#w@q", "https://example.com:8443"),
        ("http://8.8.8.8/", "http://8.8.8.8:80"),
        ("http://[2606:4700::1]:8080/", "http://[2606:4700::1]:8080"),
        ("https://bücher.example/é", "https://xn--bcher-kva.example:443"),
        ("https://my_bucket.s3.amazonaws.com/", "https://my_bucket.s3.amazonaws.com:443"),
        ("https://8.8.8.8.example/", "https://8.8.8.8.example:443"),
    ],
)
def test_a_plain_url_is_admitted_as_its_origin(text: str, origin: str):
    assert admitted(text) == origin


def test_a_presigned_link_is_kept_to_the_letter():
    link = "https://bucket.example/a%2Fb/%7Ec?X-Sig=a%2Bb%20c+d%7e&X-Date=2026%2F11"
    assert str(parse_target(link).url) == link


@given(st.text(max_size=60))
def test_any_text_is_either_refused_or_leads_to_a_host_in_plain_letters(text: str):
    try:
        target = parse_target(f"http://{text}")
    except Refused:
        return
    assert target.host.isascii()
    assert target.url.raw_host is not None
    assert target.url.raw_host.lower() == target.host
    assert 1 <= target.port <= 65_535
    assert target.url.user is None


@given(st.ip_addresses(v=4), st.sampled_from(["{0}", "0x{0:x}", "0{0:o}", "{1}.{3}", "0x{1:x}.{2}", "{1}.{2}.{3}."]))
def test_no_other_spelling_of_an_ipv4_address_is_admitted(address: ipaddress.IPv4Address, form: str):
    number = int(address)
    text = form.format(number, number >> 24, number & 0xFFFFFF, number & 0xFFFFFF)
    with pytest.raises(Refused):
        parse_target(f"http://{text}/")


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/b", "https://example.com/b"),
        ("b?x=%2B", "https://example.com/dir/b?x=%2B"),
        ("//other.example/b", "https://other.example/b"),
        ("https://other.example", "https://other.example"),
    ],
)
def test_a_location_is_read_against_the_url_that_sent_it(location: str, url: str):
    assert parse_target(location, base=URL("https://example.com/dir/a")).url == URL(url)


@pytest.mark.parametrize("location", ["http://2130706433/", "\\\\127.0.0.1/", "//a@127.0.0.1/", "file:///etc/passwd"])
def test_an_odd_location_is_refused(location: str):
    with pytest.raises(Refused):
        parse_target(location, base=URL("https://example.com/"))


@pytest.mark.parametrize(
    ("entry", "url", "permitted"),
    [
        ("minio", "http://minio:9000/x", True),
        ("MinIO", "https://MINIO/", True),
        ("minio", "http://minio.evil.example/", False),
        ("minio:9000", "http://minio:9000/", True),
        ("minio:9000", "http://minio:9001/", False),
        ("http://minio:9000", "http://minio:9000/", True),
        ("http://minio:9000", "https://minio:9000/", False),
        ("http://minio", "http://minio/", True),
        ("http://minio", "http://minio:81/", False),
        ("https://minio/", "https://minio:443/", True),
        ("10.1.0.0/16", "http://10.1.2.3:9000/", True),
        ("10.1.0.0/16", "http://10.2.2.3/", False),
        ("127.0.0.1", "http://127.0.0.1:22/", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9001/", False),
        ("::1", "http://[::1]:9000/", True),
        ("[::1]:9000", "http://[::1]:9000/", True),
        ("[::1]:9000", "http://[::1]:9001/", False),
        ("fd00::/8", "http://[fd00::1]/", True),
        ("localhost", "http://localhost:8000/", True),
    ],
)
def test_the_operator_permits_exactly_what_is_named(entry: str, url: str, permitted: bool):
    assert Policy(FetchPolicy(allow=(entry,))).permits(parse_target(url)) is permitted


@pytest.mark.parametrize("entry", ["", "10.0.0.0/99", "ftp://a", "http://a/path", "a b", "user@a", "http://a:99999"])
def test_an_entry_that_means_nothing_is_named(entry: str):
    with pytest.raises(ValueError, match="HALLEY_FETCH_ALLOW"):
        Policy(FetchPolicy(allow=(entry,)))


def test_origins_are_spelled_with_their_port():
    assert origins(["http://127.0.0.1/a", "https://A.example:444/b"]) == {
        "http://127.0.0.1:80",
        "https://a.example:444",
    }


def test_only_the_canonical_spelling_is_an_address():
    assert parse_address("127.1") is None
    assert parse_address("0177.0.0.1") is None
